"""What a message quotes and carries, case by case."""

from typing import Any

import pytest

from bots.telegram.identity import Identity
from bots.telegram.parts import names_another
from bots.telegram.payloads import Post
from core.messages import Author, Media, Message, Quote, Relation
from tests.bots.telegram.test_translate import ANN, BOT, GROUP, PRIVATE, meaning, post
from tests.fakes.telegram.world import entities

BOB = {"id": 8, "is_bot": False, "first_name": "Bob"}
OTHER_BOT = {"id": 9, "is_bot": True, "first_name": "News"}
CHANNEL = {"id": -300, "type": "channel", "title": "c"}


def message(**facts: Any) -> Message:  # noqa: ANN401  JSON
    found = meaning({"message_id": 11, "from": ANN, "chat": PRIVATE, "date": 1_750_000_000, **facts})
    assert isinstance(found, Message)
    return found


def said(text: str | None = "they said", by: dict[str, Any] = BOB, **facts: object) -> dict[str, Any]:
    return post(text, **{"from": by}, **facts)


def replied(author: Author, text: str = "they said", *media: Media) -> Quote:
    return Quote(relation=Relation.REPLIED, author=author, text=text, media=media)


@pytest.mark.parametrize(
    ("facts", "quote"),
    [
        ({"reply_to_message": said()}, replied(Author.PERSON)),
        ({"reply_to_message": said(by=BOT)}, replied(Author.BOT)),
        ({"reply_to_message": said(by=ANN)}, replied(Author.SENDER)),
        ({"reply_to_message": said(by=OTHER_BOT)}, replied(Author.APP)),
        ({"reply_to_message": said(sender_chat=CHANNEL)}, replied(Author.CHANNEL)),
        ({"reply_to_message": said(sender_chat=GROUP)}, replied(Author.PERSON)),
        ({"reply_to_message": said(forward_origin={"type": "user", "sender_user": BOT})}, replied(Author.BOT)),
        ({"reply_to_message": said("a" * 4096)}, replied(Author.PERSON, "a" * 4096)),
        ({"reply_to_message": said(None, photo=[{}], caption="see")}, replied(Author.PERSON, "see", Media.PICTURE)),
        ({"reply_to_message": said(None, voice={})}, replied(Author.PERSON, "", Media.VOICE)),
        (
            {"reply_to_message": said(None, poll={"question": "Pizza or pasta?", "options": [{"text": "Pizza"}]})},
            replied(Author.PERSON, "Pizza or pasta?\n- Pizza", Media.POLL),
        ),
        (
            {"reply_to_message": said(by=BOT), "quote": {"text": "a part of it", "position": 2}},
            Quote(relation=Relation.SELECTED, author=Author.BOT, text="a part of it"),
        ),
        (
            {
                "external_reply": {"origin": {"type": "channel", "chat": CHANNEL}, "photo": [{}]},
                "quote": {"text": "cut"},
            },
            Quote(relation=Relation.SELECTED, author=Author.CHANNEL, text="cut", media=(Media.PICTURE,)),
        ),
        (
            {"external_reply": {"origin": {"type": "hidden_user", "sender_user_name": "Z"}, "document": {}}},
            replied(Author.PERSON, "", Media.FILE),
        ),
    ],
)
def test_a_reply_quotes_what_it_answers(facts: dict[str, Any], quote: Quote) -> None:
    """The whole message replied to is quoted, or its selected part, with its author's kind and its media."""
    found = message(text="what is this", **facts)
    assert (found.text, found.quotes, found.media) == ("what is this", (quote,), ())


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"reply_to_message": said(None, by=BOT, forum_topic_created={"name": "t"})},
        {"reply_to_message": said(None, new_chat_members=[ANN])},
    ],
)
def test_nothing_is_quoted(facts: dict[str, Any]) -> None:
    """A message of a topic is no reply, and a service message has nothing to quote."""
    assert message(text="hi", **facts).quotes == ()


@pytest.mark.parametrize(
    ("origin", "author"),
    [
        ({"type": "hidden_user", "sender_user_name": "Z"}, Author.PERSON),
        ({"type": "user", "sender_user": BOB}, Author.PERSON),
        ({"type": "user", "sender_user": ANN}, Author.SENDER),
        ({"type": "user", "sender_user": BOT}, Author.BOT),
        ({"type": "user", "sender_user": OTHER_BOT}, Author.APP),
        ({"type": "chat", "sender_chat": GROUP}, Author.PERSON),
        ({"type": "channel", "chat": CHANNEL, "message_id": 5}, Author.CHANNEL),
    ],
)
@pytest.mark.parametrize("text", ["/forget", "I hate it"])
def test_what_is_forwarded_is_a_quote(origin: dict[str, Any], author: Author, text: str) -> None:
    """A forwarded text is quoted, and no word of it is the sender's own."""
    found = message(text=text, forward_origin=origin)
    assert found.text == ""
    assert found.quotes == (Quote(relation=Relation.FORWARDED, author=author, text=text),)


def test_forwarded_media_belong_to_the_quote() -> None:
    """The picture and the caption of a forwarded message are not the sender's."""
    found = message(photo=[{}], caption="/stop", forward_origin={"type": "user", "sender_user": BOB})
    expected = Quote(relation=Relation.FORWARDED, author=Author.PERSON, text="/stop", media=(Media.PICTURE,))
    assert (found.text, found.quotes, found.media) == ("", (expected,), ())


@pytest.mark.parametrize(
    ("facts", "media"),
    [
        ({"photo": [{}]}, (Media.PICTURE,)),
        ({"live_photo": {}}, (Media.PICTURE,)),
        ({"animation": {}, "document": {}}, (Media.ANIMATION,)),
        ({"venue": {}, "location": {}}, (Media.LOCATION,)),
        ({"video": {}}, (Media.VIDEO,)),
        ({"video_note": {}}, (Media.VIDEO,)),
        ({"voice": {}}, (Media.VOICE,)),
        ({"audio": {}}, (Media.AUDIO,)),
        ({"sticker": {}}, (Media.STICKER,)),
        ({"document": {}}, (Media.FILE,)),
        ({"contact": {}}, (Media.CONTACT,)),
        ({"poll": {}}, (Media.POLL,)),
        ({"dice": {}}, (Media.OTHER,)),
        ({"story": {}}, (Media.OTHER,)),
        ({"paid_media": {}}, (Media.OTHER,)),
    ],
)
def test_media_are_named(facts: dict[str, Any], media: tuple[Media, ...]) -> None:
    """Each kind of media has its name, and an animation, which comes as a document too, has one."""
    found = message(caption="look", **facts)
    assert (found.text, found.media) == ("look", media)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"poll": {"question": "Tea?", "options": [{"text": "Yes"}, {"text": "No"}]}}, "Tea?\n- Yes\n- No"),
        ({"checklist": {"title": "Buy", "tasks": [{"id": 1, "text": "tea"}]}}, "Buy\n- tea"),
        ({"venue": {"title": "Station", "address": "Main St 1"}}, "Station\nMain St 1"),
    ],
)
def test_words_of_things_are_read(facts: dict[str, Any], text: str) -> None:
    """The words of a poll, a checklist and a place are read, and are no command."""
    found = message(**facts)
    assert found.text == ""
    assert found.quotes == (Quote(relation=Relation.ATTACHED, author=Author.SENDER, text=text),)


def test_a_bare_mention_asks_about_what_it_answers() -> None:
    """A mention of the bot alone, in reply to a message, has no own words and quotes that message."""
    found = meaning(post("@ParleyBot", reply_to_message=said("Der Zug faellt heute aus.")))
    assert isinstance(found, Message)
    assert (found.text, found.quotes) == ("", (replied(Author.PERSON, "Der Zug faellt heute aus."),))


def test_addresses_of_links_are_read() -> None:
    """The address under a link's label stands after the label, also beyond emoji and after the bot's name."""
    text = "@ParleyBot 🎉 see docs or site"
    marks = [
        {"type": "mention", "offset": 0, "length": 10},
        {"type": "text_link", "offset": 18, "length": 4, "url": "https://a.example/x"},
        {"type": "text_link", "offset": 26, "length": 4, "url": "https://b.example"},
    ]
    found = meaning(post(text, entities=marks))
    assert isinstance(found, Message)
    assert found.text == "🎉 see docs (https://a.example/x) or site (https://b.example)"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (post("hello all"), False),
        (post("@ParleyBot and @PARLEYBOT"), False),
        (post("/help@parleybot"), False),
        (post("/help"), False),
        (post("@ParleyBot ask @AnotherBot"), True),
        (post("/help@AnotherBot"), True),
        (post(photo=[{}], caption="@AnotherBot", caption_entities=entities("@AnotherBot")), True),
        (post("Parley", entities=[{"type": "text_mention", "offset": 0, "length": 6, "user": ANN}]), False),
        (post("@AnotherBot", forward_origin={"type": "hidden_user"}), False),
    ],
)
def test_names_of_other_accounts(message: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A mention or a command of another account in the sender's own words may be the bot's new name."""
    assert names_another(Post.model_validate(message), Identity(id=7, username="ParleyBot")) == expected
