"""What a person on Slack is told before they have written, and what a stranger is told."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from bots.fronts import Welcome
from core.commands import help_text
from core.i18n import say
from core.messages import Locale
from core.store.schema import people
from tests.bots.slack.conftest import LIMITS, Gateway, Open
from tests.bots.slack.test_asides import answered
from tests.fakes.slack.client import FakeSlack, State

QUESTIONS = Welcome(questions={"en": ("How are you?", "What is rain?"), "zh": ("你好吗？",)})
CLOSED = replace(LIMITS, allow=frozenset({"slack:U1"}))


async def open_chat(slack: FakeSlack, user: str = "U1", channel: str = "D1") -> State:
    """Open the Messages tab, and wait until the event is acknowledged."""
    event = {"type": "app_home_opened", "tab": "messages", "channel": channel, "user": user}
    return await taken(slack, "event", event=event)


async def taken(slack: FakeSlack, verb: str, **values: object) -> State:
    """Do something in Slack, and wait until what it sends is acknowledged."""
    before = len((await slack.state()).sendings)
    await slack.pull(verb, **values)
    return await slack.until(lambda state: len(state.sendings) > before and not state.unacknowledged())


def prompts(state: State) -> list[Any]:
    return [[prompt["message"] for prompt in offered["prompts"]] for offered in state.entries("prompts")]


async def welcomes(gateway: Gateway, channel: str = "D1") -> list[str]:
    return [bubble["text"] for bubble in (await answered(gateway)).bubbles(channel)]


@pytest.mark.parametrize(("locale", "tag"), [("en", "en-GB"), ("zh", "zh-CN")])
async def test_a_person_is_welcomed_in_the_language_of_their_slack(
    open_gateway: Open, slack: FakeSlack, locale: Locale, tag: str
) -> None:
    """The first time a person opens the chat, they are told who the bot is; the commands are spelled as Slack's."""
    await slack.pull("locales", U1=tag)
    async with open_gateway(welcome=QUESTIONS) as gateway:
        state = await open_chat(slack)
        assert prompts(state) == [list(QUESTIONS.questions[locale])]
        (welcome,) = await welcomes(gateway)
        assert welcome.startswith(say(locale, "command.start", name="test"))
        assert welcome.endswith(help_text(locale, prefix="!"))


async def test_a_person_is_welcomed_once(open_gateway: Open, slack: FakeSlack) -> None:
    """Later openings, also after a restart, bring the prompts alone."""
    async with open_gateway(welcome=QUESTIONS) as gateway:
        await open_chat(slack)
        await open_chat(slack)
        assert len(await welcomes(gateway)) == 1
    async with open_gateway(welcome=QUESTIONS) as gateway:
        assert len(prompts(await open_chat(slack))) == 3
        assert len(await welcomes(gateway)) == 1


async def test_who_has_written_before_is_not_welcomed(open_gateway: Open, slack: FakeSlack) -> None:
    """A person who knows the bot already gets prompts, in the language that they write if Slack does not tell."""
    async with open_gateway(welcome=QUESTIONS) as gateway:
        await slack.say("你好，今天天气怎么样？", user="U1")
        before = len((await answered(gateway)).bubbles("D1"))
        assert prompts(await open_chat(slack)) == [["你好吗？"]]
        assert len((await answered(gateway)).bubbles("D1")) == before


async def test_without_the_scope_slack_is_asked_once(open_gateway: Open, slack: FakeSlack) -> None:
    """An app without users:read speaks English to a person who has not written, and does not ask Slack again."""
    async with open_gateway(welcome=QUESTIONS):
        await open_chat(slack)
        state = await open_chat(slack, "U2", "D2")
        assert prompts(state) == [list(QUESTIONS.questions["en"])] * 2
        assert state.calls["users.info"] == 1


async def test_a_language_is_asked_for_once_a_day(open_gateway: Open, slack: FakeSlack) -> None:
    """What Slack has told is remembered for a day."""
    await slack.pull("locales", U1="zh-TW")
    async with open_gateway(welcome=QUESTIONS) as gateway:
        await open_chat(slack)
        assert (await open_chat(slack)).calls["users.info"] == 1
        gateway.clock.advance(90_000)
        state = await open_chat(slack)
        assert state.calls["users.info"] == 2
        assert prompts(state) == [["你好吗？"]] * 3


async def test_without_questions_nothing_is_suggested(open_gateway: Open, slack: FakeSlack) -> None:
    """An operator may offer no questions."""
    async with open_gateway(welcome=Welcome()):
        assert prompts(await open_chat(slack)) == []


async def test_a_stranger_is_not_welcomed(open_gateway: Open, slack: FakeSlack) -> None:
    """Who may not talk to the bot gets neither welcome nor prompts, and leaves no trace."""
    async with open_gateway(limits=CLOSED, welcome=QUESTIONS) as gateway:
        state = await open_chat(slack, "U2", "D2")
        assert prompts(state) == []
        assert await welcomes(gateway, "D2") == []
        assert await gateway.store.run(lambda c: c.execute(sa.select(people.c.id)).all()) == []


async def test_only_a_stranger_sees_the_refusal_in_a_channel(open_gateway: Open, slack: FakeSlack) -> None:
    """A refusal in a channel is shown to the stranger alone, and once in a minute."""
    async with open_gateway(limits=CLOSED) as gateway:
        thread = await slack.mention("hello", user="U2", channel="C1")
        await answered(gateway)
        await slack.mention("hello?", user="U2", channel="C1")
        state = await answered(gateway)
        (told,) = state.entries("whispered")
        assert (told["channel"], told["user"], told["thread_ts"]) == ("C1", "U2", "")
        assert told["text"] == say("en", "refusal.not_allowed", person="slack:U2")
        assert state.bubbles("C1") == []
        await gateway.advance(61)
        await slack.mention("again", user="U2", channel="C1", thread_ts=thread)
        assert len((await answered(gateway)).entries("whispered")) == 2


async def test_a_stranger_who_presses_is_told_once_a_minute(open_gateway: Open, slack: FakeSlack) -> None:
    """Presses of a stranger are refused privately, and not twice in a minute."""
    async with open_gateway(limits=CLOSED) as gateway:
        await slack.mention("hello", user="U1", channel="C1")
        (answer,) = (await answered(gateway)).bubbles("C1")
        for whispers in (1, 1, 2):
            if whispers == 2:
                gateway.clock.advance(61)
            state = await taken(slack, "click", channel="C1", ts=answer["ts"], user="U2", **answer["buttons"][-1])
            assert len(state.entries("whispered")) == whispers
