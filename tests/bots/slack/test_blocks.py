"""Words in blocks, case by case: as markup, and as they are read in the end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.slack.blocks import WORDY, Blocks, read_blocks, read_message_blocks
from bots.slack.text import plain


def words(*blocks: dict[str, Any]) -> str:
    return plain(str(read_blocks(list(blocks))), "UBOT")


def rich(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": list(elements)}


def line(*pieces: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(pieces)}


def text(words: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": words, "style": style}


@pytest.mark.parametrize(
    ("piece", "read"),
    [
        (text("a < b & c"), "a < b & c"),
        (text("x = 1", code=True), "`x = 1`"),
        (text("loud", bold=True), "loud"),
        ({"type": "emoji", "name": "angry", "unicode": "1f620"}, "😠"),
        ({"type": "emoji", "name": "wave", "skin_tone": 3, "unicode": "1f44b-1f3fc"}, "👋🏼"),
        ({"type": "emoji", "name": "new-in-this-year", "unicode": "1fae8"}, "🫨"),
        ({"type": "emoji", "name": "tada"}, "🎉"),
        ({"type": "emoji", "name": "partyparrot"}, ":partyparrot:"),
        ({"type": "emoji", "name": "odd", "unicode": "nonsense"}, ":odd:"),
        ({"type": "emoji", "name": "odd", "unicode": "ffffffff"}, ":odd:"),
        ({"type": "link", "url": "https://a.example/x", "text": "docs"}, "docs (https://a.example/x)"),
        ({"type": "link", "url": "https://a.example/x"}, "https://a.example/x"),
        ({"type": "user", "user_id": "U2"}, "@U2"),
        ({"type": "channel", "channel_id": "C2"}, "#C2"),
        ({"type": "broadcast", "range": "here"}, "@here"),
        ({"type": "usergroup", "usergroup_id": "S1"}, "@subteam^S1"),
        ({"type": "date", "timestamp": 1, "format": "{date}", "fallback": "1 May"}, "1 May"),
        ({"type": "color", "value": "#F405B3"}, "#F405B3"),
        ({"type": "unheard_of"}, ""),
    ],
)
def test_pieces_of_rich_text(piece: dict[str, Any], read: str) -> None:
    """Each piece of a line is read as it is seen; an emoji by its characters, which Slack sends along."""
    assert words(rich(line(piece))) == read


def test_a_mention_of_the_bot_is_left_out() -> None:
    """The bot's name before the words is no part of them."""
    assert words(rich(line({"type": "user", "user_id": "UBOT"}, text(" hello")))) == "hello"


def test_paragraphs_of_rich_text() -> None:
    """Lists, code and quotes keep their form."""
    numbered = {
        "type": "rich_text_list",
        "style": "ordered",
        "offset": 2,
        "elements": [line(text("c")), line(text("d"))],
    }
    nested = {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [line(text("e"))]}
    code = {"type": "rich_text_preformatted", "elements": [text("if a < b:\n  :tada:")]}
    quote = {"type": "rich_text_quote", "elements": [text("he said\nthis")]}
    assert words(rich(line(text("list:\n")), numbered, nested, code, quote)) == (
        "list:\n3. c\n4. d\n  • e\n```\nif a < b:\n  :tada:\n```\n> he said\n> this"
    )


@pytest.mark.parametrize(
    ("block", "read"),
    [
        (
            {"type": "section", "text": {"type": "mrkdwn", "text": "<https://a.example|up> &amp; down"}},
            "up (https://a.example) & down",
        ),
        (
            {"type": "section", "fields": [{"type": "mrkdwn", "text": "a"}, {"type": "plain_text", "text": "b & c"}]},
            "a\nb & c",
        ),
        ({"type": "header", "text": {"type": "plain_text", "text": "Disk :fire: full"}}, "Disk 🔥 full"),
        (
            {
                "type": "context",
                "elements": [{"type": "image", "alt_text": "a cat"}, {"type": "mrkdwn", "text": "by Ann"}],
            },
            "a cat\nby Ann",
        ),
        ({"type": "markdown", "text": "**a** < b"}, "**a** < b"),
        ({"type": "image", "alt_text": "a chart", "image_url": "https://a.example"}, "a chart"),
        ({"type": "video", "title": {"type": "plain_text", "text": "Talk"}, "video_url": "https://a.example"}, "Talk"),
        ({"type": "alert", "text": {"type": "mrkdwn", "text": "on fire"}, "level": "error"}, "on fire"),
        ({"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Go"}}]}, ""),
        ({"type": "divider"}, ""),
    ],
)
def test_blocks_of_apps(block: dict[str, Any], read: str) -> None:
    """The words of each kind of block are read; those on buttons are not."""
    assert words(block) == read


def test_cells_of_a_table_are_kept_apart() -> None:
    """A table is read row by row, and apart from the other words."""
    rows = [
        [{"type": "raw_text", "text": "Name"}, {"type": "raw_text", "text": "Qty"}],
        [rich(line(text("Apple"))), {"type": "raw_number", "value": 7}],
    ]
    said = {"type": "section", "text": {"type": "mrkdwn", "text": "see"}}
    assert read_blocks([{"type": "table", "rows": rows}, said]) == Blocks(words="see", tables="Name | Qty\nApple | 7")


@pytest.mark.parametrize("wrapped", [True, False])
def test_blocks_of_a_shared_message(*, wrapped: bool) -> None:
    """The blocks of a shared message are read, whether or not they stand in a message of their own."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "only here"}}
    given = {"team": "T1", "message": {"blocks": [block]}} if wrapped else block
    assert read_message_blocks([given]).words == "only here"


FIELDS = (*WORDY, "type", "rows", "style", "indent", "offset", "unicode", "name", "url", "message", "value")
KINDS = ("rich_text", "rich_text_list", "rich_text_quote", "table", "section", "emoji", "link", "text", "mrkdwn")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=15,
)


@given(JSON)
def test_any_blocks_are_read(value: object) -> None:
    """Any JSON in place of blocks has words or none, and raises nothing."""
    read_blocks(value)
    read_message_blocks(value)
