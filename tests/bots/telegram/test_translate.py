"""Translation of updates, case by case."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bots.telegram.buttons import AGAIN, Buttons
from bots.telegram.identity import Identity
from bots.telegram.payloads import Update
from bots.telegram.translate import ButtonPressed, Gesture, Groups, Moved, translate
from core.access import is_allowed
from core.buttons import Press
from core.messages import ConversationKey, Kind, Media, Message, Person
from tests.fakes.telegram.world import entities

BUTTONS = Buttons(b"key")
GROUP = {"id": -100, "type": "supergroup", "title": "g"}
PRIVATE = {"id": 5, "type": "private", "first_name": "Ann"}
ANN = {"id": 5, "is_bot": False, "first_name": "Ann", "language_code": "en"}
BOT = {"id": 7, "is_bot": True, "first_name": "Parley", "username": "ParleyBot"}


def understood(update: dict[str, Any], groups: Groups = "mention") -> Gesture | None:
    identity = Identity(id=7, username="ParleyBot")
    return translate(Update.model_validate({"update_id": 3, **update}), identity, groups=groups, buttons=BUTTONS)


def post(text: str | None = None, **facts: object) -> dict[str, Any]:
    """A message in a group, with the entities that Telegram finds in its text."""
    given: dict[str, Any] = {"message_id": 11, "from": ANN, "chat": GROUP, "date": 1_750_000_000}
    if text is not None:
        given |= {"text": text, "entities": entities(text)}
    return given | facts


def meaning(message: dict[str, Any], groups: Groups = "mention") -> Gesture | None:
    return understood({"message": message}, groups)


def words(message: dict[str, Any], groups: Groups = "mention") -> str | None:
    """The text of the translated message; None if it is not for the bot."""
    found = meaning(message, groups)
    return found.text if isinstance(found, Message) else None


def pressed(data: str, **facts: object) -> Gesture | None:
    under = post("answer", **{"from": BOT}) | facts
    query = {"id": "q1", "from": ANN, "message": under, "data": data, "chat_instance": "1"}
    return understood({"callback_query": query})


def data(choice: str, turn: int = 9, chat: int = -100) -> str:
    row = BUTTONS.under(turn, chat).inline_keyboard[0]
    return next(str(button.callback_data) for button in row if str(button.callback_data).startswith(f"fb:{choice}"))


def test_a_private_message_is_translated_in_full() -> None:
    """A private message keeps its event keys, conversation, sender, language hint, time and reference."""
    found = meaning(post("hello", chat=PRIVATE))
    assert isinstance(found, Message)
    assert found.event_keys == ("telegram:7:message:5:11",)
    assert str(found.conversation) == "telegram/7/5/"
    assert str(found.sender) == "telegram/7/5"
    assert (found.sender.display_name, found.sender.locale) == ("Ann", "en")
    assert (found.text, found.sent_at, found.kind, found.reference) == ("hello", 1_750_000_000.0, Kind.PRIVATE, "11")


@pytest.mark.parametrize(
    ("code", "locale"),
    [("zh", "zh"), ("zh-hans", "zh"), ("zh-TW", "zh"), ("en", "en"), ("en-GB", "en"), ("de", None), (None, None)],
)
def test_the_language_of_a_persons_telegram_is_a_hint(code: str | None, locale: str | None) -> None:
    """Chinese and English tags are locale hints; other languages give none."""
    found = meaning(post("x", chat=PRIVATE, **{"from": {**ANN, "language_code": code}}))
    assert isinstance(found, Message)
    assert found.sender.locale == locale


def test_a_group_admits_its_members() -> None:
    """An entry for a group admits who writes there, in its topics too, and not in private."""
    for message, is_admitted in (
        (post("/help"), True),
        (post("/help", message_thread_id=44, is_topic_message=True), True),
        (post("/help", chat=PRIVATE), False),
    ):
        found = meaning(message)
        assert isinstance(found, Message)
        assert is_allowed(found.sender, found.conversation, {"telegram:chat:-100"}) == is_admitted


TO_THE_BOT: dict[str, Any] = {"reply_to_message": post("I said", **{"from": BOT})}
TO_THE_TOPIC = {"reply_to_message": post(None, forum_topic_created={"name": "t"}, **{"from": BOT})}
TO_OTHERS = {"reply_to_message": post("they said", **{"from": {**ANN, "id": 8}})}
GIF_BOT = {"id": 77, "is_bot": True, "first_name": "gif", "username": "gif"}
GROUP_BOT = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL_BOT = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
TELEGRAM = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
CHANNEL = {"id": -200, "type": "channel", "title": "c"}
ANONYMOUS: dict[str, Any] = {"from": GROUP_BOT, "sender_chat": GROUP}
AS_CHANNEL: dict[str, Any] = {"from": CHANNEL_BOT, "sender_chat": CHANNEL}
AUTOMATIC_FORWARD: dict[str, Any] = {"from": TELEGRAM, "sender_chat": CHANNEL, "is_automatic_forward": True}
NAMED = [{"type": "text_mention", "offset": 0, "length": 6, "user": BOT}]
NAMED_OTHER = [{"type": "text_mention", "offset": 0, "length": 6, "user": ANN}]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (post("hello all"), None),
        (post("@ParleyBot hello"), "hello"),
        (post("@parleybot, hello"), "hello"),
        (post("@ParleyBot：你好"), "你好"),
        (post("so @PARLEYBOT what now"), "so what now"),
        (post("🎉🎉 @ParleyBot 🎉 hi"), "🎉🎉 🎉 hi"),
        (post("@ParleyBotany hello"), None),
        (post("@OtherBot hello"), None),
        (post("mail me@ParleyBot"), None),
        (post("Parley what now", entities=NAMED), "what now"),
        (post("Parley what now", entities=NAMED_OTHER), None),
        (post("what now", **TO_THE_BOT), "what now"),
        (post("what now", **TO_THE_TOPIC), None),
        (post("what now", **TO_OTHERS), None),
        (post("/help"), "/help"),
        (post("/help@ParleyBot me"), "/help me"),
        (post("/HELP@parleybot"), "/HELP"),
        (post("/help@OtherBot"), None),
        (post("/ban him"), None),
        (post("/help@OtherBot", **TO_THE_BOT), None),
        (post("@ParleyBot /lang zh"), "/lang zh"),
        (post("/start abc_DEF-1"), "/start abc_DEF-1"),
        (post("@ParleyBot"), ""),
        (post(photo=[{}], caption="@ParleyBot see", caption_entities=entities("@ParleyBot see")), "see"),
        (post(photo=[{}], caption="see"), None),
        (post(sticker={}), None),
        (post(None, sticker={}, **TO_THE_BOT), ""),
        (post(None, new_chat_members=[ANN], **TO_THE_BOT), None),
    ],
)
def test_in_a_group_only_messages_to_the_bot_are_heard(message: dict[str, Any], text: str | None) -> None:
    """In a group only mentions of the bot, replies to it and commands are for it; its name is removed."""
    assert words(message) == text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (post("@ParleyBot, @OtherBot are you both there?"), "@you, @OtherBot are you both there?"),
        (post("@OtherBot and @parleybot: hello you"), "@OtherBot and @you: hello you"),
        (post("@OtherBot @ThirdBot @ParleyBot hello you"), "@OtherBot @ThirdBot @you hello you"),
        (post("hello you 🎉 @ParleyBot & @ann"), "hello you 🎉 @you & @ann"),
        (post("@ParleyBot、@OtherBot，你们在吗？"), "@你、@OtherBot，你们在吗？"),
        (post("@ParleyBot 和 @OtherBot 你们在吗？"), "@你 和 @OtherBot 你们在吗？"),
        (
            post("Parley @OtherBot hello you", entities=[*NAMED, *entities("       @OtherBot")]),
            "@you @OtherBot hello you",
        ),
        (post("@ParleyBot what does @OtherBot do?"), "what does @OtherBot do?"),
        (post("@ParleyBot @ParleyBot hello you"), "hello you"),
        (post("@ParleyBot, @OtherBot hello you", chat=PRIVATE), "@you, @OtherBot hello you"),
        (
            post(
                photo=[{}], caption="@ParleyBot, @OtherBot see", caption_entities=entities("@ParleyBot, @OtherBot see")
            ),
            "@you, @OtherBot see",
        ),
    ],
)
def test_among_others_the_bot_is_you(message: dict[str, Any], text: str) -> None:
    """A bot that is named in one row with others knows that it is: its name is "@you" there, and not left out."""
    assert words(message) == text


FORWARD = {"forward_origin": {"type": "hidden_user", "sender_user_name": "Z", "date": 1}}


@pytest.mark.parametrize(
    ("message", "groups", "heard"),
    [
        (post("/forget", **FORWARD), "all", True),
        (post("/forget", **FORWARD), "mention", False),
        (post("@ParleyBot hello", **FORWARD), "mention", False),
        (post("/forget@OtherBot", **FORWARD, **TO_THE_BOT), "mention", True),
        (post("/forget", chat=PRIVATE, **FORWARD), "off", True),
    ],
)
def test_what_is_forwarded_calls_nobody(message: dict[str, Any], groups: Groups, *, heard: bool) -> None:
    """Commands and mentions in a forwarded message do not address the bot, and are not the sender's words."""
    assert words(message, groups) == ("" if heard else None)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (post("hello all"), "hello all"),
        (post("/ban him"), None),
        (post("/help@OtherBot"), None),
        (post(sticker={}), None),
        (post("@ParleyBot hello"), "hello"),
    ],
)
def test_a_bot_that_hears_all_leaves_others_commands_alone(message: dict[str, Any], text: str | None) -> None:
    """With groups = all every text is for the bot, except other bots' commands and media without a text."""
    assert words(message, "all") == text


def test_groups_can_be_switched_off() -> None:
    """With groups = off mentions are ignored and private chats are answered."""
    assert words(post("@ParleyBot hello"), "off") is None
    assert words(post("hello", chat=PRIVATE), "off") == "hello"


@pytest.mark.parametrize(
    "message",
    [
        post("x", chat=PRIVATE, **{"from": {**ANN, "is_bot": True}}),
        post("x", chat=PRIVATE, **{"from": {**ANN, "is_bot": True}}, via_bot=GIF_BOT),
        post("@ParleyBot x", **AUTOMATIC_FORWARD),
        post("@ParleyBot x", **AUTOMATIC_FORWARD, **TO_THE_BOT),
        post("@ParleyBot x", is_automatic_forward=True),
        post("x", chat={"id": -200, "type": "channel"}),
        {"message_id": 1, "chat": PRIVATE, "date": 1, "text": "nobody"},
        post(pinned_message={}, chat=PRIVATE),
        post(forum_topic_created={"name": "t"}),
    ],
)
def test_senders_that_are_no_person_are_ignored(message: dict[str, Any]) -> None:
    """Bots, automatic copies of a channel's posts, posts in channels and service messages are ignored."""
    assert meaning(message, "all") is None
    assert meaning({**message, "media_group_id": "al"}, "all") is None


@pytest.mark.parametrize(
    ("message", "sender", "title"),
    [
        (post("@ParleyBot hello", **ANONYMOUS), "chat:-100", "g"),
        (post("/help", **ANONYMOUS), "chat:-100", "g"),
        (post("hello", **ANONYMOUS, **TO_THE_BOT), "chat:-100", "g"),
        (post("@ParleyBot hello", **AS_CHANNEL), "chat:-200", "c"),
        (post("@ParleyBot hello", sender_chat=CHANNEL, **{"from": None}), "chat:-200", "c"),
        (post(photo=[{}], **ANONYMOUS, **TO_THE_BOT), "chat:-100", "g"),
    ],
)
def test_a_chat_is_the_sender_of_what_is_written_in_its_name(message: dict[str, Any], sender: str, title: str) -> None:
    """Anonymous administrators and people who write as a channel are heard if they address the bot, as that chat."""
    found = meaning(message)
    assert isinstance(found, Message)
    assert (found.sender.id, found.sender.display_name, found.conversation.chat) == (sender, title, "-100")
    assert Person.parse(str(found.sender)) == replace(found.sender, display_name="")
    assert is_allowed(found.sender, found.conversation, {f"telegram:{sender}"})


@pytest.mark.parametrize("facts", [ANONYMOUS, AS_CHANNEL, {"via_bot": GIF_BOT}])
def test_what_is_written_in_a_chats_name_must_address_the_bot(facts: dict[str, Any]) -> None:
    """In a group neither an anonymous message nor one through an inline bot is for the bot unless it says so."""
    assert words(post("hello all", **facts)) is None
    assert words(post("@OtherBot hello", **facts)) is None


@pytest.mark.parametrize(
    ("message", "text", "media"),
    [
        (post("a poem", chat=PRIVATE, via_bot=GIF_BOT), "a poem", ()),
        (post(animation={}, document={}, chat=PRIVATE, via_bot=GIF_BOT), "", (Media.ANIMATION,)),
        (post(animation={}, via_bot=GIF_BOT, **TO_THE_BOT), "", (Media.ANIMATION,)),
        (post("@ParleyBot a poem", via_bot=GIF_BOT), "a poem", ()),
    ],
)
def test_what_is_sent_through_an_inline_bot_is_the_persons(
    message: dict[str, Any], text: str, media: tuple[Media, ...]
) -> None:
    """A message through an inline bot is its sender's own, in words and media."""
    found = meaning(message)
    assert isinstance(found, Message)
    assert (found.sender.id, found.text, found.media) == ("5", text, media)


@pytest.mark.parametrize("kind", ["edited_channel_post", "channel_post", "business_message", "unheard_of"])
def test_other_updates_are_not_for_the_bot(kind: str) -> None:
    """Other updates are ignored, above all edits, which would be answered twice."""
    assert understood({kind: post("@ParleyBot x", chat=PRIVATE)}) is None


def test_a_topic_is_a_place_and_a_chain_of_replies_is_not() -> None:
    """A topic of a forum is a thread; a chain of replies is not."""
    topic = meaning(post("/help", message_thread_id=44, is_topic_message=True))
    chain = meaning(post("/help", message_thread_id=44))
    assert isinstance(topic, Message)
    assert isinstance(chain, Message)
    assert (topic.conversation.thread, chain.conversation.thread) == ("44", "")


def test_media_without_words_is_a_message_without_words() -> None:
    """Media without a caption is a message without text."""
    assert words(post(photo=[{}], chat=PRIVATE)) == ""


def test_an_upgraded_group_is_known_by_both_names() -> None:
    """The service messages in the old group and in the new one translate to the same move."""
    old = ConversationKey(platform="telegram", workspace="7", chat="-100")
    moved = Moved(old=old, new=replace(old, chat="-1001"))
    assert meaning(post(migrate_to_chat_id=-1001)) == moved
    assert meaning(post(migrate_from_chat_id=-100, chat={"id": -1001, "type": "supergroup"})) == moved


@pytest.mark.parametrize(("choice", "value"), [("up", 1), ("down", -1)])
def test_a_thumb_is_a_vote(choice: str, value: int) -> None:
    """A thumb is a vote of the person who pressed it, on the turn of its button."""
    found = pressed(data(choice))
    assert isinstance(found, ButtonPressed)
    assert (found.press.turn_id, found.press.person.id, found.button.vote) == (9, "5", value)


def test_a_press_names_its_turn_person_and_place() -> None:
    """A press has the turn of its button, the person who pressed it, the topic, and its own event keys."""
    found = pressed(data("again"), message_thread_id=44, is_topic_message=True)
    assert isinstance(found, ButtonPressed)
    assert found.button is AGAIN
    assert (found.press.turn_id, found.press.person.id, found.press.conversation.thread) == (9, "5", "44")
    assert found.press.event_keys == ("telegram:7:callback:q1",)


def test_a_button_outlives_its_message() -> None:
    """Of an old message Telegram tells the chat and the id only; its buttons are read all the same."""
    old = {"message_id": 11, "chat": GROUP, "date": 0}
    query = {"id": "q1", "from": ANN, "message": old, "data": data("again"), "chat_instance": "1"}
    assert isinstance(understood({"callback_query": query}), ButtonPressed)


def test_the_number_of_an_update_is_no_identity() -> None:
    """Another gesture under the same number has other event keys, and the same gesture under another has the same."""
    query = {"id": "q1", "from": ANN, "message": post("answer", **{"from": BOT}), "data": data("again")}
    gestures = [
        {"message": post("one", chat=PRIVATE)},
        {"message": post("one", chat=PRIVATE, message_id=12)},
        {"message": post("/help", message_id=12)},
        {"callback_query": query},
        {"callback_query": {**query, "id": "q2"}},
    ]
    keys = [_keys(gesture, number=3) for gesture in gestures]
    assert len(set().union(*keys)) == sum(map(len, keys)) == len(gestures)
    assert keys == [_keys(gesture, number=4) for gesture in gestures]


def _keys(gesture: dict[str, Any], number: int) -> tuple[str, ...]:
    match understood({**gesture, "update_id": number}):
        case Message(event_keys=keys) | ButtonPressed(press=Press(event_keys=keys)):
            return keys
    raise AssertionError(gesture)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "fb:up:9",
        "fb:up:9:000000000000",
        data("up").replace("up", "across"),
        data("up", chat=-999),
        data("up").replace(":9:", ":8:"),
        "x" * 64,
    ],
)
def test_a_forged_button_does_nothing(forged: str) -> None:
    """Button data that is malformed, or signed for another chat or turn, translates to None."""
    assert pressed(forged) is None


FIELDS = (*post("x"), "caption", "reply_to_message", "quote", "offset", "length", "type", "id", "is_bot", "photo")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("@ParleyBot"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=12,
)


@given(JSON)
def test_any_update_is_translated_or_invalid(raw: object) -> None:
    """Any JSON is translated, ignored, or fails validation, and raises nothing else."""
    with suppress(ValidationError):
        understood({"message": raw}, "all")


@given(
    text=st.text(st.characters(), max_size=20),
    marks=st.lists(
        st.tuples(st.sampled_from(["mention", "text_mention", "bot_command"]), st.integers(0, 30)), max_size=4
    ),
)
def test_any_entities_in_any_text_are_translated(text: str, marks: list[tuple[str, int]]) -> None:
    """Entities at any offset in any text raise no exception."""
    given_marks = [{"type": kind, "offset": at, "length": 7, "user": BOT} for kind, at in marks]
    found = words(post(text, entities=given_marks, chat=PRIVATE))
    assert found is not None
