"""Slack's own stop button, which it shows while the bot is processing in a thread."""

import asyncio

import pytest

from core.engine.scripted import ScriptedEngine
from tests.bots.slack.conftest import Gateway, Open
from tests.fakes.slack.client import FakeSlack, State


async def press_stop(slack: FakeSlack, thread: str, *, channel: str = "D1", user: str = "U1") -> None:
    stopped = {"type": "agent_session_stopped", "channel": channel, "thread_ts": thread, "user": user}
    await slack.pull("event", event=stopped | {"streaming_message_ts": [], "event_ts": "1.000001"})


def sessions(state: State) -> list[str]:
    return [entry["status"] for entry in state.entries("session")]


async def processing(gateway: Gateway) -> State:
    return await gateway.until(lambda state: sessions(state) == ["processing"])


async def writing(gateway: Gateway) -> None:
    """Wait until the model is asked, which is after Slack is told that the bot is processing."""
    while gateway.engine.open_streams == 0:
        await asyncio.sleep(0)


@pytest.mark.parametrize("channel", ["D1", "C1"])
async def test_stop_ends_the_answer_and_the_processing(open_gateway: Open, slack: FakeSlack, channel: str) -> None:
    """The answer ends as with /stop, without a message about it, and the session is active again."""
    async with open_gateway(ScriptedEngine.hanging(2, text="one two three")) as gateway:
        thread = await slack.mention("hello", channel=channel)
        await processing(gateway)
        await press_stop(slack, thread, channel=channel)
        state = await gateway.until(lambda state: sessions(state) == ["processing", "active"])
        (bubble,) = state.bubbles()
        assert bubble["text"] == "one two 😐"
        assert state.entries("whispered") == []
        assert not state.streams


async def test_only_the_asker_stops(open_gateway: Open, slack: FakeSlack) -> None:
    """Another person in the channel is told so alone, and the answer and the session go on."""
    async with open_gateway(ScriptedEngine.hanging(2)) as gateway:
        thread = await slack.mention("hello")
        await processing(gateway)
        await press_stop(slack, thread, channel="C1", user="U2")
        state = await slack.until(lambda state: bool(state.entries("whispered")))
        (told,) = state.entries("whispered")
        assert (told["user"], told["thread_ts"]) == ("U2", thread)
        assert "person who asked" in told["text"]
        await writing(gateway)
        assert sessions(state) == ["processing"]
        await press_stop(slack, thread, channel="C1")
        await gateway.until(lambda state: sessions(state) == ["processing", "active"])


async def test_a_session_without_an_answer_is_ended(open_gateway: Open, slack: FakeSlack) -> None:
    """If there is nothing to stop, as after a crash, the session leaves "processing" all the same."""
    async with open_gateway():
        await press_stop(slack, "5.000001")
        await slack.until(lambda state: sessions(state) == ["active"] and not state.unacknowledged())


async def test_a_stop_delivered_again_spares_the_next_answer(open_gateway: Open, slack: FakeSlack) -> None:
    """The event stops what ran when it came first, and nothing when Slack delivers it again."""
    async with open_gateway(ScriptedEngine.hanging(2)) as gateway:
        thread = await slack.say("hello")
        await processing(gateway)
        event = {"type": "agent_session_stopped", "channel": "D1", "thread_ts": thread, "user": "U1"}
        body = {"type": "event_callback", "team_id": "T1", "event_id": "EvStop", "event": event}
        await slack.pull("payload", kind="events_api", body=body)
        await gateway.until(lambda state: sessions(state) == ["processing", "active"])
        await slack.say("and now", thread_ts=thread)
        await gateway.until(lambda state: sessions(state)[2:] == ["processing"])
        await slack.pull("payload", kind="events_api", body=body)
        await slack.until(lambda state: not state.unacknowledged())
        await writing(gateway)
        await press_stop(slack, thread)
        await gateway.until(lambda state: sessions(state)[2:] == ["processing", "active"])


async def test_a_restart_ends_the_processing(open_gateway: Open, slack: FakeSlack) -> None:
    """An answer that another process finishes ends what an earlier one had Slack show."""
    async with open_gateway(ScriptedEngine.hanging(2)) as gateway:
        await slack.mention("hello")
        await processing(gateway)
    async with open_gateway(ScriptedEngine.fixed("here I am")) as gateway:
        await gateway.until(lambda state: sessions(state)[-1] == "active")
        await slack.until_shown("here I am 😐")


async def test_a_restart_before_the_delivery_ends_the_processing(open_gateway: Open, slack: FakeSlack) -> None:
    """So does a process that delivers an answer which an earlier one has written and could not show."""
    async with open_gateway(ScriptedEngine.hanging(2, text="one two three")) as gateway:
        thread = await slack.mention("hello")
        edits = (await gateway.until(lambda state: bool(state.entries("edited")))).calls["chat.update"]
        await slack.pull("fault", method="chat.update", kind="unavailable")
        await press_stop(slack, thread, channel="C1")
        await slack.until(lambda state: state.calls["chat.update"] > edits)
    async with open_gateway() as gateway:
        state = await gateway.until(lambda state: sessions(state) == ["processing", "active"])
        assert [bubble["text"] for bubble in state.bubbles()] == ["one two 😐"]


async def test_a_workspace_without_sessions_is_left_in_peace(open_gateway: Open, slack: FakeSlack) -> None:
    """After Slack has refused a session, no more is asked for, and the answer comes."""
    await slack.pull("fault", method="agents.sessions.setStatus", kind="error", error="not_authorized", times=99)
    async with open_gateway(ScriptedEngine.hanging(2, text="one two three")) as gateway:
        thread = await slack.mention("hello")
        await gateway.until(lambda state: "agents.sessions.setStatus" in state.calls)
        await press_stop(slack, thread, channel="C1")
        state = await gateway.until(lambda state: [bubble["text"] for bubble in state.bubbles()] == ["one two 😐"])
        assert state.calls["agents.sessions.setStatus"] == 1
