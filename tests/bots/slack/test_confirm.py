"""!forget on Slack asks with buttons, and deletes after a yes of the person who asked."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.store import Store
from tests.bots.slack.conftest import Gateway, Open
from tests.bots.slack.test_asides import answered, in_channel, tell
from tests.bots.slack.test_delivery import texts
from tests.fakes.slack.client import FakeSlack, State

ASKED = "Shall I delete"
DONE = "I have deleted"


async def stored(store: Store) -> list[str]:
    return list(await store.run(lambda c: c.scalars(sa.text("SELECT text FROM turns")).all()))


def question(state: State, what: str) -> dict[str, Any]:
    return next(entry for entry in reversed(state.entries(what)) if entry["text"].startswith(ASKED))


async def press(gateway: Gateway, asked: dict[str, Any], action: str, *, user: str = "U1", **where: str) -> None:
    (button,) = [button for button in asked["buttons"] if button["action"] == action]
    await gateway.slack.pull("press", user=user, action=action, value=button["value"], **where)


async def test_yes_forgets_after_a_restart(open_gateway: Open, slack: FakeSlack) -> None:
    """The question in a direct message has two buttons, and its yes works in the next process."""
    async with open_gateway() as gateway:
        await tell(gateway, "the canary sings")
        await slack.say("!forget")
        asked = question(await answered(gateway), "edited")
    async with open_gateway() as gateway:
        await slack.pull("click", channel="D1", ts=asked["ts"], user="U1", **asked["buttons"][0])
        state = await answered(gateway)
        assert await stored(gateway.store) == []
        assert DONE in texts(state)[-1]


@pytest.mark.parametrize(("action", "left"), [("yes", []), ("no", ["/forget", "/forget no"])])
async def test_in_a_channel_the_buttons_are_ephemeral(
    open_gateway: Open, slack: FakeSlack, action: str, left: list[str]
) -> None:
    """The question of a channel and what follows are shown to the asker alone. Its press comes without a message."""
    async with open_gateway() as gateway:
        await slack.mention("!forget")
        asked = question(await answered(gateway), "whispered")
        await press(gateway, asked, action, channel="C1", ts=asked["ts"])
        state = await answered(gateway)
        assert await stored(gateway.store) == left
        assert (DONE if action == "yes" else "I keep everything") in state.entries("whispered")[-1]["text"]
        assert not in_channel(state)


async def test_a_slash_command_asks_too(open_gateway: Open, slack: FakeSlack) -> None:
    """`/parley forget` asks at its response URL, and its yes is answered there."""
    async with open_gateway() as gateway:
        await slack.pull("command", channel="C1", user="U1", command="/parley", text="forget")
        asked = question(await answered(gateway), "response")
        await press(gateway, asked, "yes", channel="C1", ts="5.000001")
        state = await answered(gateway)
        assert [DONE in said["text"] for said in state.entries("response")] == [False, True]


@pytest.mark.parametrize("rejected", ["section", "actions"])
async def test_without_buttons_a_typed_yes_works(open_gateway: Open, slack: FakeSlack, rejected: str) -> None:
    """A workspace that rejects the buttons gets the question as text, which says what to type."""
    await slack.pull("rules", rejected_blocks=[rejected])
    async with open_gateway() as gateway:
        await tell(gateway, "the canary sings")
        await slack.say("!forget")
        state = await answered(gateway)
        assert texts(state)[-1].endswith("!forget yes")
        await slack.say("!forget yes")
        await answered(gateway)
        assert await stored(gateway.store) == []


async def test_another_person_cannot_confirm(open_gateway: Open, slack: FakeSlack) -> None:
    """A yes of somebody else deletes nothing."""
    async with open_gateway() as gateway:
        await tell(gateway, "the canary sings")
        await slack.mention("!forget")
        asked = question(await answered(gateway), "whispered")
        await press(gateway, asked, "yes", user="U2", channel="C1", ts=asked["ts"])
        await answered(gateway)
        assert await stored(gateway.store) == ["the canary sings", "/forget"]
