"""Which messages of Telegram are one, case by case."""

from typing import Any, TypeAlias

import pytest

from bots.telegram.translate import Overheard
from core.messages import Message
from tests.bots.telegram.test_translate import PRIVATE, meaning, post

Facts: TypeAlias = dict[str, Any]
LATER: Facts = {"date": 1_750_000_001}
MUCH_LATER: Facts = {"date": 1_750_000_002}
LONG = "w" * 2_049
FORWARD: Facts = {"forward_origin": {"type": "hidden_user", "sender_user_name": "Z", "date": 1}}
ALBUM: Facts = {"photo": [{}], "media_group_id": "al"}


def heard(message: Facts) -> Message:
    found = meaning(message)
    assert isinstance(found, Message)
    return found


def private(text: str | None = None, **facts: object) -> Message:
    return heard(post(text, chat=PRIVATE, **facts))


def are_one(first: Message, second: Message) -> bool:
    return bool(set(first.ties.opens) & set(second.ties.joins))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (private(**ALBUM), private(**ALBUM, **MUCH_LATER)),
        (private(LONG), private("the end")),
        (private(LONG), private("the end", **LATER)),
        (private(LONG), private(LONG)),
        (private("😀" * 1_025), private("the end")),
        (private(LONG), private("/etc is full", **LATER)),
        (private("look"), private("news", **FORWARD)),
        (private("look"), private("news", **FORWARD, **LATER)),
        (private("look"), private(**ALBUM, **FORWARD)),
        (private(LONG), private("news", **FORWARD)),
        (private("news", **FORWARD), private("more news", **FORWARD)),
        (private("news", **FORWARD), private("look", **LATER)),
        (private(**ALBUM, **FORWARD), private("look")),
        (private(**ALBUM, **FORWARD), private(**ALBUM, **FORWARD, **MUCH_LATER)),
        (heard(post("@ParleyBot /lang", photo=[{}], media_group_id="al")), private(**ALBUM)),
    ],
)
def test_what_a_client_sends_at_once_is_one_message(first: Message, second: Message) -> None:
    """Pictures of an album, pieces of a long text, and a forward with its comment are one message."""
    assert are_one(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (private("look"), private("and this")),
        (private("w" * 2_048), private("the end")),
        (private(LONG), private("the end", **MUCH_LATER)),
        (private("look"), private("news", **FORWARD, **MUCH_LATER)),
        (private("/help"), private("news", **FORWARD)),
        (heard(post("@ParleyBot /help")), private("news", **FORWARD)),
        (private("news", **FORWARD), private("/help")),
        (private("look"), private(photo=[{}])),
        (private(photo=[{}]), private("look")),
        (private(**ALBUM), private("look")),
        (private("look"), private(**ALBUM)),
        (private(**ALBUM), private(photo=[{}], media_group_id="other")),
    ],
)
def test_what_a_person_sends_in_turn_is_not(first: Message, second: Message) -> None:
    """Messages that a person sends one after another are several, and a command stands alone."""
    assert not are_one(first, second)


def test_only_what_may_have_more_to_it_waits() -> None:
    """An album, a piece of a long text and a forward wait; a plain message, also a comment, does not."""
    assert [found.ties.waits for found in (private(**ALBUM), private(LONG), private("news", **FORWARD))] == [True] * 3
    assert [found.ties.waits for found in (private("look"), private(photo=[{}]), private("/help"))] == [False] * 3


@pytest.mark.parametrize("message", [post(**ALBUM), post("the end"), post("news", **FORWARD)])
def test_a_groups_message_may_belong_to_one_for_the_bot(message: Facts) -> None:
    """In a group only one of several messages names the bot; the others are for it if they belong to that one."""
    assert isinstance(meaning(message), Overheard)
    assert meaning(message, "off") is None
