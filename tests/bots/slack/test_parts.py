"""What a message quotes and carries, case by case."""

from typing import Any

import pytest

from bots.slack.parts import earlier
from bots.slack.payloads import parse_thread
from core.messages import Author, Media, Quote, Relation
from core.text import CUT
from tests.bots.slack.test_translate import IDENTITY, event, message, rich

TABLE = {
    "type": "table",
    "rows": [
        [{"type": "raw_text", "text": "Name"}, {"type": "raw_text", "text": "Qty"}],
        [{"type": "raw_text", "text": "Apple"}],
    ],
}
SHARE = {
    "is_share": True,
    "is_msg_unfurl": True,
    "author_id": "U2",
    "text": "Disk <https://a.example|full>",
    "fallback": "Bob: Disk",
}
HELLO = {"type": "text", "text": "hello"}


def forwarded(author: Author, text: str = "Disk full (https://a.example)", *media: Media) -> Quote:
    return Quote(relation=Relation.FORWARDED, author=author, text=text, media=media)


def attached(text: str, **facts: Any) -> Quote:  # noqa: ANN401
    return Quote(relation=Relation.ATTACHED, text=text, **facts)


@pytest.mark.parametrize(
    ("attachment", "quote"),
    [
        (SHARE, forwarded(Author.PERSON)),
        (SHARE | {"author_id": "U1"}, forwarded(Author.SENDER)),
        (SHARE | {"author_id": "UBOT"}, forwarded(Author.BOT)),
        (SHARE | {"author_id": None, "bot_id": "B9"}, forwarded(Author.APP)),
        (SHARE | {"author_id": None}, forwarded(Author.UNKNOWN)),
        (SHARE | {"is_share": None, "text": "/forget"}, forwarded(Author.PERSON, "/forget")),
        (SHARE | {"text": ""}, forwarded(Author.PERSON, "Bob: Disk")),
        (SHARE | {"message_blocks": [{"message": {"blocks": [rich(HELLO)]}}]}, forwarded(Author.PERSON, "hello")),
        (
            SHARE | {"text": "", "fallback": "[no preview available]", "files": [{"mimetype": "image/png"}]},
            forwarded(Author.PERSON, "", Media.PICTURE),
        ),
        ({"fallback": "[no preview available]", "blocks": [TABLE]}, attached("Name | Qty\nApple")),
        (
            {"title": "A page", "title_link": "https://a.example", "text": "about it", "from_url": "https://a.example"},
            attached("A page (https://a.example)\nabout it"),
        ),
        (
            {"pretext": "New", "fields": [{"title": "State", "value": "open"}, {"value": "now"}, 7], "ts": 5},
            attached("New\nState: open\nnow"),
        ),
    ],
)
def test_attachments_are_quoted(attachment: dict[str, Any], quote: Quote) -> None:
    """A shared message, a table and a preview are quoted, with the author's kind; they are never the sender's words."""
    found = message(event(channel_type="im", attachments=[attachment, "nonsense"]))
    assert (found.text, found.quotes) == ("hello", (quote,))


@pytest.mark.parametrize(
    ("fields", "text", "quotes"),
    [
        ({"text": "", "blocks": [rich(HELLO)]}, "hello", ()),
        ({"text": ":new:", "blocks": [rich({"type": "emoji", "name": "new", "unicode": "1fae8"})]}, "🫨", ()),
        ({"text": "", "blocks": [rich({"type": "user", "user_id": "UBOT"}, HELLO)]}, "hello", ()),
        ({"text": "which?", "blocks": [rich(HELLO), TABLE]}, "hello", (attached("Name | Qty\nApple"),)),
        ({"text": "which?", "blocks": [TABLE]}, "which?", (attached("Name | Qty\nApple"),)),
        ({"text": "hello", "blocks": None, "attachments": None, "files": None}, "hello", ()),
        ({"text": "hello", "blocks": 7, "attachments": {}, "files": [None, {"id": {}}]}, "hello", ()),
    ],
)
def test_own_words_are_what_slack_shows(fields: dict[str, Any], text: str, quotes: tuple[Quote, ...]) -> None:
    """The own words are those of the blocks, or the text if there are none; pasted tables are quoted."""
    found = message(event(channel_type="im", **fields))
    assert (found.text, found.quotes) == (text, quotes)


@pytest.mark.parametrize(
    ("file", "media"),
    [
        ({"mimetype": "image/png"}, (Media.PICTURE,)),
        ({"mimetype": "video/mp4"}, (Media.VIDEO,)),
        ({"mimetype": "video/mp4", "subtype": "slack_audio"}, (Media.VOICE,)),
        ({"mimetype": "video/mp4", "subtype": "slack_video"}, (Media.VIDEO,)),
        ({"mimetype": "audio/mpeg"}, (Media.AUDIO,)),
        ({"mimetype": "application/pdf"}, (Media.FILE,)),
        ({"mimetype": "text/html", "preview": "<p>"}, (Media.FILE,)),
        ({"id": "F1", "file_access": "check_file_info"}, (Media.FILE,)),
        ({"mode": "tombstone"}, ()),
    ],
)
def test_files_are_named(file: dict[str, Any], media: tuple[Media, ...]) -> None:
    """The kind of a file is named, once for all files of a kind; deleted files are not."""
    found = message(event(channel_type="im", subtype="file_share", files=[file, file]))
    assert (found.media, found.quotes) == (media, ())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ({"mode": "snippet", "mimetype": "text/plain", "preview": "if a &lt; b:", "lines_more": 0}, "if a &lt; b:"),
        ({"mode": "snippet", "preview": "one", "lines_more": 13}, f"one\n{CUT}"),
        ({"mode": "hosted", "mimetype": "text/csv", "preview": "a,b", "preview_is_truncated": True}, f"a,b\n{CUT}"),
        ({"mode": "email", "mimetype": "text/html", "preview": "<p>", "plain_text": "Dear Ann"}, "Dear Ann"),
    ],
)
def test_text_files_are_quoted(file: dict[str, Any], text: str) -> None:
    """The preview of a text file is quoted as it is, and says if there is more."""
    found = message(event(channel_type="im", subtype="file_share", files=[file]))
    assert (found.media, found.quotes) == ((), (attached(text),))


@pytest.mark.parametrize(
    ("said", "author", "text", "media"),
    [
        ({"user": "U1", "text": "hi &amp; bye"}, Author.SENDER, "hi & bye", ()),
        ({"user": "U2", "text": "look", "files": [{"mimetype": "image/png"}]}, Author.PERSON, "look", (Media.PICTURE,)),
        (
            {"bot_id": "B9", "text": "", "attachments": [{"title": "Disk almost full on db-1", "text": "92 % used"}]},
            Author.APP,
            "Disk almost full on db-1\n92 % used",
            (),
        ),
        ({"bot_id": "B9", "text": "short", "blocks": [rich(HELLO), TABLE]}, Author.APP, "hello\nName | Qty\nApple", ()),
        ({"user": "U1", "text": "", "files": [{"mode": "snippet", "preview": "x = 1"}]}, Author.SENDER, "x = 1", ()),
    ],
)
def test_earlier_messages_are_quoted_whole(
    said: dict[str, Any], author: Author, text: str, media: tuple[Media, ...]
) -> None:
    """An earlier message of a thread is quoted with everything that Slack shows of it."""
    (parsed,) = parse_thread([{"ts": "1.1"} | said, {"ts": "soon"}])
    expected = Quote(relation=Relation.EARLIER, author=author, text=text, media=media)
    assert earlier(parsed, "U1", IDENTITY) == expected
