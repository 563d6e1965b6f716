"""An administrator on Slack lists what was asked in vain, and answers it, in a direct message or by a slash command."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.knowledge.teaching import FILE
from tests.bots.slack.conftest import LIMITS, Gateway, Open
from tests.bots.slack.test_asides import answered
from tests.bots.slack.test_delivery import texts
from tests.bots.taught import open_shop
from tests.fakes.slack.client import FakeSlack

ADMINS = replace(LIMITS, admins=frozenset({"slack:U1"}))


async def ask(gateway: Gateway, text: str, *, in_channel: bool) -> dict[str, Any]:
    """What an administrator is answered to a command in their direct messages or in a channel."""
    if in_channel:
        await gateway.slack.pull("command", channel="C1", user="U1", command="/parley", text=text)
        return dict((await answered(gateway)).entries("response")[-1])
    await gateway.slack.say(f"!{text}")
    return dict((await answered(gateway)).entries("edited")[-1])


@pytest.mark.parametrize("in_channel", [False, True])
async def test_an_administrator_answers_a_gap(
    open_gateway: Open, slack: FakeSlack, clock: ManualClock, tmp_path: Path, *, in_channel: bool
) -> None:
    """The list, the entry and the buttons are shown to them alone; the yes writes the entry as it was typed."""
    async with open_shop(tmp_path, clock) as expertise, open_gateway(limits=ADMINS, expertise=expertise) as gateway:
        await slack.mention("how deep is the pool", user="U2")
        assert "I do not know that." in texts(await answered(gateway))[-1]
        listed = await ask(gateway, "gaps", in_channel=in_channel)
        assert f"{'/parley ' if in_channel else '!'}teach NUMBER QUESTION = ANSWER" in listed["text"]
        number = listed["text"].splitlines()[1].partition(":")[0]
        asked = await ask(gateway, f"teach {number} Pool & depth? = *Two* <metres>.", in_channel=in_channel)
        yes = next(button for button in asked["buttons"] if button["action"] == "yes")
        place = {"channel": "C1", "ts": "5.000001"} if in_channel else {"channel": "D1", "ts": asked["ts"]}
        await slack.pull("press", user="U1", action="yes", value=yes["value"], **place)
        state = await answered(gateway)
        said = state.entries("response")[-1]["text"] if in_channel else texts(state)[-1]
        assert said.startswith("Learned:")
    taught = tomllib.loads((expertise.folder / FILE).read_text("utf-8"))
    assert taught["entry"][0]["en"]["questions"] == ["Pool & depth?"]
    assert "Two" in taught["entry"][0]["en"]["answer"]


async def test_a_question_that_begins_like_a_command_is_one(open_gateway: Open, slack: FakeSlack) -> None:
    """Without a number behind it, "teach" is a word of a question."""
    async with open_gateway() as gateway:
        await slack.pull("command", channel="C1", user="U2", command="/parley", text="teach me to swim")
        assert "I heard: teach me to swim" in (await answered(gateway)).entries("response")[-1]["text"]
