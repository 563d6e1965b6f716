from dataclasses import replace

import pytest

from bots.slack.api import Place
from bots.slack.reference import Reference, place_of
from core.messages import ConversationKey, Message, Person

DIRECT = ConversationKey(platform="slack", workspace="T1", chat="D1")


def message(reference: str, thread: str = "") -> Message:
    sender = Person(platform="slack", workspace="T1", id="U1")
    there = replace(DIRECT, thread=thread)
    return Message(event_keys=(), conversation=there, sender=sender, text="hi", sent_at=5.1, reference=reference)


@pytest.mark.parametrize(("ts", "thread", "text"), [("5.1", "", "5.1"), ("7.000001", "5.1", "7.000001:5.1")])
def test_reference_is_stored_and_read(ts: str, thread: str, text: str) -> None:
    """A reference is written as it always was if it has no thread, and read back."""
    reference = Reference(ts=ts, thread=thread)
    assert str(reference) == text
    assert Reference.parse(text) == reference


@pytest.mark.parametrize("text", ["", "https://hooks.slack.com/commands/1.2", "5", "5.1:", "5.1:x"])
def test_other_references_name_no_message(text: str) -> None:
    """A response URL names no message, nor does the empty reference of what the bot itself has made."""
    assert Reference.parse(text) is None


@pytest.mark.parametrize(
    ("reference", "thread", "answered_in"),
    [
        ("5.1", "", "5.1"),
        ("7.1:5.1", "", "5.1"),
        ("5.1", "3.1", "3.1"),
        ("7.1:5.1", "3.1", "3.1"),
        ("https://x", "", ""),
    ],
)
def test_an_answer_stands_in_a_thread(reference: str, thread: str, answered_in: str) -> None:
    """An answer stands in the thread of its conversation, else in that of its message or below it."""
    assert place_of(message(reference, thread)) == Place(channel="D1", thread=answered_in)
