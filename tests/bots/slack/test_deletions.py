"""Deleted messages on Slack, from end to end (docs.slack.dev/reference/events/message/message_deleted)."""

from typing import Any

import pytest

from core.messages import Deletion
from tests.bots.slack.conftest import Open
from tests.bots.slack.test_talk import number_of_turns
from tests.bots.slack.test_translate import event, read
from tests.fakes.slack.client import FakeSlack

GONE: dict[str, Any] = {"subtype": "message_deleted", "hidden": True, "ts": "9.1", "deleted_ts": "5.000001"}
BEFORE = {"user": "U1", "text": "hello", "ts": "5.000001"}
TOMBSTONE = {
    "subtype": "message_changed",
    "hidden": True,
    "ts": "9.1",
    "message": {"subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted.", "ts": "5.000001"},
}


@pytest.mark.parametrize("fields", [GONE, TOMBSTONE])
async def test_a_deleted_question_takes_its_answer_along(
    open_gateway: Open, slack: FakeSlack, fields: dict[str, Any]
) -> None:
    """The answer is deleted, and nothing is left in the store, also if the message had replies."""
    async with open_gateway() as gateway:
        ts = await slack.say("hello there")
        await slack.until_shown("I heard: hello there \U0001f610")
        changed = {**fields["message"], "ts": ts} if "message" in fields else None
        told = {**fields, "deleted_ts": ts, "message": changed, "type": "message", "channel": "D1"}
        await slack.pull("event", event={**told, "channel_type": "im", "previous_message": {**BEFORE, "ts": ts}})
        await gateway.until(lambda state: not state.bubbles() and not state.unacknowledged())
        while await number_of_turns(gateway):
            await gateway.advance(1)


@pytest.mark.parametrize("fields", [GONE, TOMBSTONE])
def test_a_deletion_names_the_message(fields: dict[str, Any]) -> None:
    """It has the key of the message, its place and its words."""
    gesture = read(event(**fields, previous_message=BEFORE))
    deletion = getattr(gesture, "deletion", None)
    assert isinstance(deletion, Deletion)
    assert deletion.event_keys == ("slack:T1:message:C1:5.000001",)
    assert (deletion.conversation.thread, deletion.sent_at, deletion.text) == ("5.000001", 5.000001, "hello")


@pytest.mark.parametrize(
    "fields", [{"deleted_ts": "soon"}, {"deleted_ts": ""}, {"previous_message": {**BEFORE, "user": "UBOT"}}]
)
def test_other_deletions_are_not_read(fields: dict[str, Any]) -> None:
    """The bot deletes messages of its own, and a deletion without a message means nothing."""
    assert read(event(**{**GONE, "previous_message": BEFORE, **fields})) is None
