"""A stranger on Slack asks to be let in, and an administrator decides in their direct messages."""

from dataclasses import replace

from tests.bots.slack.conftest import LIMITS, Open
from tests.bots.slack.test_asides import answered
from tests.bots.slack.test_delivery import texts
from tests.fakes.slack.client import FakeSlack

GUARDED = replace(LIMITS, allow=frozenset({"slack:U1"}), admins=frozenset({"slack:U1"}), asks_admins=True)


async def test_an_administrator_decides_in_direct_messages(open_gateway: Open, slack: FakeSlack) -> None:
    """The administrator, who has never written, is asked by direct message; the stranger is told, and then answered."""
    async with open_gateway(limits=GUARDED) as gateway:
        await slack.mention("let me in", user="U2")
        state = await answered(gateway)
        (told,), (asked,) = state.entries("whispered"), state.bubbles("D1")
        assert "asked an administrator" in told["text"]
        assert asked["text"].startswith("slack:U2 would like to talk with me.")
        await slack.pull("click", channel="D1", ts=asked["ts"], user="U1", **asked["buttons"][0])
        state = await answered(gateway)
        assert "slack:U2 may talk with me from now on." in texts(state)
        (welcome,) = state.bubbles("D2")
        assert welcome["text"].startswith("You may talk with me now")
        await slack.mention("hello", user="U2")
        assert texts(await answered(gateway))[-1] == "I heard: hello 😐"
