"""A conversation is handed over to a person, and back, on both platforms and between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.engine.scripted import ScriptedEngine
from core.help_desk import HelpDesk
from core.hours import Hours, Span
from core.messages import Label, Person
from tests.bots.desk import ANN, BOB, CUE, House, OnSlack, Platform, Shown, open_house
from tests.fakes.slack.client import FakeSlack
from tests.fakes.telegram.control import Account

PAIRS: list[tuple[Platform, Platform]] = [
    (customer, operators) for customer in ("telegram", "slack") for operators in ("telegram", "slack")
]


def each_pair(default: tuple[Platform, Platform]) -> pytest.MarkDecorator:
    """A test for each pair of platforms: of the customer, and of the operators. All but one take long together."""
    marked = [
        pytest.param(pair, id="-".join(pair), marks=() if pair == default else pytest.mark.long) for pair in PAIRS
    ]
    return pytest.mark.parametrize("house", marked, indirect=True)


@pytest.fixture
async def house(request: pytest.FixtureRequest, account: Account, slack: FakeSlack) -> AsyncIterator[House]:
    customer, operators = request.param
    async with open_house(account, slack, customer, operators) as opened:
        yield opened


def after(timeout: float) -> Callable[[HelpDesk], HelpDesk]:
    return lambda desk: replace(desk, timeout=timeout)


def texts(found: list[Shown]) -> list[str]:
    return [one.text for one in found]


@each_pair(("telegram", "slack"))
async def test_words_go_both_ways_and_the_model_is_silent(house: House) -> None:
    """From the request to the end the customer and the owner read each other, in order, and the model says nothing."""
    await house.customer.say(CUE, "my parcel is late")
    await house.customer.until_shown("I heard: my parcel is late", at_desk=False)
    summary = await house.handed_over()
    assert summary.text.count("> my parcel is late") == summary.text.count("> a person please") == 1
    assert "Language: English" in summary.text
    thread = summary.thread
    await house.operators.press(ANN, summary, "take")
    await house.customer.until_shown("You are talking with a person now", at_desk=False)
    asked = len(house.engine.prompts)
    for number in range(3):
        await house.customer.say(CUE, f"number {number}")
    found = await house.operators.until(lambda all_: "number 2" in texts(all_), at_desk=True)
    assert [text for text in texts(found) if text.startswith("number")] == ["number 0", "number 1", "number 2"]
    assert {one.thread for one in found} == {thread}
    await house.operators.say(ANN, "It comes tomorrow.", thread=thread)
    await house.customer.until_shown("It comes tomorrow.", at_desk=False)
    assert len(house.engine.prompts) == asked
    await house.operators.say(ANN, "/back" if thread.isdecimal() else "!back", thread=thread)
    await house.customer.until_shown("You are talking with me, the bot, again.", at_desk=False)
    await house.customer.say(CUE, "and now?")
    await house.customer.until_shown("I heard: and now?", at_desk=False)
    said = [(message.role, message.content) for message in house.engine.prompts[-1][1:]]
    assert ("user", "number 0\nnumber 1\nnumber 2") in said
    assert ("assistant", "(A person of the team:) It comes tomorrow.") in said


@pytest.mark.parametrize("platform", ["telegram", "slack"])
async def test_a_yes_to_the_offer_asks_a_person(account: Account, slack: FakeSlack, platform: Platform) -> None:
    """After an offer a typed yes is as good as the button; any other yes is for the bot."""
    engine = ScriptedEngine.replying(
        lambda prompt: f"I heard: {prompt[-1].content}",
        mood=lambda text: Label.NEGATIVE if text.startswith("bad") else Label.NEUTRAL,
    )
    async with open_house(account, slack, platform, "telegram", engine=engine) as house:
        await house.customer.say(CUE, "yes please")
        await house.customer.until_shown("I heard: yes please", at_desk=False)
        for number in (1, 2):
            await house.customer.say(CUE, f"bad {number}")
            await house.customer.until_shown(f"I heard: bad {number}", at_desk=False)
        await house.customer.until_shown("Would you rather talk with a person?", at_desk=False)
        await house.customer.say(CUE, "Yes, please!")
        await house.customer.until_shown("I have asked a person", at_desk=False)


@each_pair(("slack", "telegram"))
async def test_edits_reach_the_other_side(house: House) -> None:
    """What the customer or the owner makes of a message changes what the other one is shown of it."""
    thread = await house.taken()
    said = await house.customer.say(CUE, "number 17")
    shown = await house.operators.until_shown("number 17", at_desk=True)
    await house.customer.edit(said, "number 71", at_desk=False)
    assert (await house.operators.until_shown("number 71", at_desk=True)).id == shown.id
    said = await house.operators.say(ANN, "It comes tomorow.", thread=thread)
    shown = await house.customer.until_shown("It comes tomorow.", at_desk=False)
    await house.operators.edit(said, "It comes tomorrow.", at_desk=True)
    assert (await house.customer.until_shown("It comes tomorrow.", at_desk=False)).id == shown.id


@each_pair(("slack", "slack"))
async def test_an_operator_without_the_conversation_is_asked(house: House) -> None:
    """Words of an operator who has not taken over reach the customer only once, when a button says so."""
    thread = (await house.handed_over()).thread
    said = await house.operators.say(BOB, "Just a moment.", thread=thread)
    asked = await house.operators.until_shown("You have not taken this conversation over", at_desk=True)
    await house.operators.press(BOB, asked, "send")
    await house.operators.press(BOB, asked, "send")
    shown = await house.customer.until_shown("Just a moment.", at_desk=False)
    await house.operators.until_shown("Sent.", at_desk=True)
    await house.operators.edit(said, "Just a minute.", at_desk=True)
    assert (await house.customer.until_shown("Just a minute.", at_desk=False)).id == shown.id
    await house.customer.say(CUE, "and?")
    await house.customer.until_shown("I heard: and?", at_desk=False)
    await house.operators.say(ANN, "I am on it.", thread=thread)
    asked = await house.operators.until_shown("You have not taken this conversation over", at_desk=True)
    await house.operators.press(ANN, asked, "take")
    await house.customer.until_shown("I am on it.", at_desk=False)
    await house.operators.say(BOB, "Me too.", thread=thread)
    asked = await house.operators.until_shown(
        "telegram:21 has this" if thread.isdecimal() else "slack:U7 has this", at_desk=True
    )
    assert "Me too." not in texts(await house.customer.seen(at_desk=False))


@each_pair(("telegram", "telegram"))
async def test_forgetting_ends_it_and_withdraws_the_copies(house: House) -> None:
    """After /forget the thread holds no word of the customer but a note, and the store nothing of the hand-off."""
    await house.taken()
    await house.customer.say(CUE, "number 17")
    await house.operators.until_shown("number 17", at_desk=True)
    await house.customer.say(CUE, "!forget yes" if isinstance(house.customer, OnSlack) else "/forget yes")
    await house.customer.until_shown("Done. I have deleted everything", at_desk=False)
    note = "The customer had everything about them deleted."
    await house.operators.until_shown(note, at_desk=True)
    left = await house.operators.until(lambda all_: len(all_) <= 2, at_desk=True)
    assert "number 17" not in "\n".join(texts(left))
    async with asyncio.timeout(5):
        while await house.store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM handoffs"))):
            await asyncio.sleep(0.02)
    assert not await house.store.run(lambda c: c.execute(sa.text("SELECT * FROM turns")).all())


@pytest.fixture(params=["telegram", "slack"])
async def one_house(request: pytest.FixtureRequest, account: Account, slack: FakeSlack) -> AsyncIterator[House]:
    """A house with customer and operators on different platforms."""
    other: Platform = "slack" if request.param == "telegram" else "telegram"
    async with open_house(account, slack, request.param, other) as opened:
        yield opened


@pytest.mark.long
async def test_of_two_operators_one_owns_the_conversation(one_house: House) -> None:
    """If several take over at the same moment, one of them is the owner, and each other one is told so."""
    house = one_house
    summary = await house.handed_over()
    await asyncio.gather(*(house.operators.press(who, summary, "take") for who in (ANN, BOB) * 3))
    await house.customer.until_shown("You are talking with a person now", at_desk=False)
    found = await house.operators.until(lambda all_: "has taken over" in "\n".join(texts(all_)), at_desk=True)
    owner = await house.store.run(lambda c: c.scalar(sa.text("SELECT owner FROM handoffs")))
    (taken,) = [one.text for one in found if "has taken over" in one.text]
    assert taken.startswith(Person.parse(owner).name)


@pytest.mark.long
async def test_strangers_at_the_desk_reach_no_customer(one_house: House) -> None:
    """Words and buttons of people who are not among the operators have no effect."""
    house = one_house
    summary = await house.handed_over()
    await house.operators.press(CUE, summary, "take")
    await house.operators.say(CUE, "pay me", thread=summary.thread)
    thread = await house.operators.say(ANN, "hello", thread=summary.thread)
    await house.operators.until_shown("You have not taken this conversation over", at_desk=True)
    assert thread
    assert "pay me" not in "\n".join(texts(await house.customer.seen(at_desk=False)))
    assert await house.store.run(lambda c: c.scalar(sa.text("SELECT state FROM handoffs"))) == "asked"


async def test_taking_over_ends_the_answer_under_way(account: Account, slack: FakeSlack) -> None:
    """The model stops, the customer is told that a person is there, and the operator gets the question."""
    engine = ScriptedEngine.hanging(after=3)
    async with open_house(account, slack, "telegram", "slack", engine=engine) as house:
        summary = await house.handed_over()
        await house.customer.say(CUE, "tell me everything")
        async with asyncio.timeout(5):
            while not engine.open_streams:
                await asyncio.sleep(0.01)
        await house.customer.say(CUE, "and more")
        await house.operators.press(ANN, summary, "take")
        await house.customer.until_shown("You are talking with a person now", at_desk=False)
        await house.operators.until_shown("tell me everything", at_desk=True)
        await house.operators.until_shown("and more", at_desk=True)
        async with asyncio.timeout(5):
            while engine.open_streams:
                await asyncio.sleep(0.01)


@pytest.mark.long
async def test_time_gives_back_what_nobody_takes(account: Account, slack: FakeSlack) -> None:
    """If nobody takes over in time, both sides are told that the bot has it again."""
    async with open_house(account, slack, "telegram", "slack", change_desk=after(20.0)) as house:
        await house.handed_over()
        await house.customer.until_shown("I am sorry, nobody was free", at_desk=False)
        await house.operators.until_shown("Nobody has written for a while", at_desk=True)


@pytest.mark.long
async def test_time_gives_back_what_the_owner_leaves(account: Account, slack: FakeSlack) -> None:
    """If the owner writes nothing in time, both sides are told that the bot has it again."""
    async with open_house(account, slack, "telegram", "slack", change_desk=after(40.0)) as house:
        await house.taken()
        await house.customer.until_shown("The person you talked with has been away", at_desk=False)
        await house.operators.until_shown("Nobody has written for a while", at_desk=True)


@pytest.mark.long
async def test_outside_of_the_hours_the_customer_is_told_when(account: Account, slack: FakeSlack) -> None:
    """The request stands until the desk opens, and the answer says when that is."""
    never = Hours(spans=(Span.parse("mon 03:00-03:01"),))
    async with open_house(
        account, slack, "slack", "telegram", change_desk=lambda desk: replace(desk, hours=never, timeout=10.0)
    ) as house:
        await house.customer.say(CUE, "转人工")
        told = await house.customer.until_shown("我已经请人工来这里", at_desk=False)
        assert "03:00 UTC" in told.text
        await asyncio.sleep(1.5)  # thirty seconds of the bot's clock
        assert await house.store.run(lambda c: c.scalar(sa.text("SELECT state FROM handoffs"))) == "asked"


@pytest.mark.long
async def test_stop_brings_the_bot_back(one_house: House) -> None:
    """The customer can leave at any time, and the operators are told."""
    house = one_house
    await house.taken()
    await house.customer.say(CUE, "!stop" if isinstance(house.customer, OnSlack) else "/stop")
    await house.customer.until_shown("Good, you are talking with me again.", at_desk=False)
    await house.operators.until_shown("The customer has gone back to the bot.", at_desk=True)
    await house.customer.say(CUE, "hello bot")
    await house.customer.until_shown("I heard: hello bot", at_desk=False)


@pytest.mark.long
async def test_the_rate_limit_holds_for_words_that_are_passed_on(account: Account, slack: FakeSlack) -> None:
    """A customer who floods is told to wait, and the operators are not flooded."""
    async with open_house(account, slack, "telegram", "slack", per_minute=1, burst=3) as house:
        await house.taken()
        for number in range(4):
            await house.customer.say(CUE, f"flood {number}")
        await house.customer.until_shown("That was quick!", at_desk=False)
        found = await house.operators.seen(at_desk=True)
        assert len([text for text in texts(found) if text.startswith("flood")]) <= 2


async def test_two_bad_moods_in_a_row_offer_a_person(account: Account, slack: FakeSlack) -> None:
    """The offer has a button that asks for a person; it is made once."""
    engine = ScriptedEngine.replying(lambda prompt: f"I heard: {prompt[-1].content}", mood=lambda _: Label.NEGATIVE)
    async with open_house(account, slack, "telegram", "slack", engine=engine) as house:
        await house.customer.say(CUE, "this is awful")
        await house.customer.until_shown("I heard: this is awful", at_desk=False)
        assert not [text for text in texts(await house.customer.seen(at_desk=False)) if "Would you rather" in text]
        await house.customer.say(CUE, "I am so angry")
        offered = await house.customer.until_shown("Would you rather talk with a person?", at_desk=False)
        await house.customer.press(CUE, offered, "person")
        await house.customer.until_shown("I have asked a person", at_desk=False)
        found = await house.operators.until(lambda all_: [one for one in all_ if one.buttons], at_desk=True)
        assert "negative" in found[-1].text


@pytest.mark.long
async def test_a_plain_group_has_chains_of_replies(account: Account, slack: FakeSlack) -> None:
    """Without topics, operators reply to the messages of a conversation, the first one or any later one."""
    async with open_house(account, slack, "slack", "telegram", forum=False) as house:
        summary = await house.handed_over()
        await house.operators.press(ANN, summary, "take")
        await house.customer.until_shown("You are talking with a person now", at_desk=False)
        await house.operators.say(ANN, "one", thread=summary.thread)
        await house.customer.until_shown("one", at_desk=False)
        await house.operators.say(ANN, "two", thread=summary.id)
        await house.customer.until_shown("two", at_desk=False)


@pytest.mark.long
async def test_the_operator_learns_that_the_customer_cannot_be_reached(account: Account, slack: FakeSlack) -> None:
    """A customer who has blocked the bot gets nothing more: the owner is told, and the hand-off ends."""
    async with open_house(account, slack, "telegram", "slack") as house:
        thread = await house.taken()
        await account.block(CUE)
        await house.operators.say(ANN, "hello?", thread=thread)
        await house.operators.until_shown("The customer cannot be reached any more", at_desk=True)


@pytest.mark.long
async def test_a_deletion_takes_the_words_back(account: Account, slack: FakeSlack) -> None:
    """What customer or owner delete on Slack goes on the other side as well."""
    async with open_house(account, slack, "slack", "slack") as house:
        thread = await house.taken()
        said = {"D1": await house.customer.say(CUE, "my password"), "C2": ""}
        await house.operators.until_shown("my password", at_desk=True)
        said["C2"] = await house.operators.say(ANN, "my secret", thread=thread)
        await house.customer.until_shown("my secret", at_desk=False)
        for channel, ts in said.items():
            gone = {"type": "message", "subtype": "message_deleted", "hidden": True, "channel": channel, "ts": ts}
            before = {"user": "U7", "text": "x", "ts": ts, "thread_ts": thread if channel == "C2" else ts}
            await slack.pull("event", event={**gone, "deleted_ts": ts, "previous_message": before})
        await house.operators.until(lambda all_: "my password" not in texts(all_), at_desk=True)
        await house.customer.until(lambda all_: "my secret" not in texts(all_), at_desk=False)


async def test_a_desk_where_the_bot_may_not_write_is_no_silence(account: Account, slack: FakeSlack) -> None:
    """The customer is told that nobody can be reached, and goes on with the bot."""
    async with open_house(account, slack, "telegram", "slack") as house:
        await slack.pull("fault", method="chat.postMessage", kind="error", error="not_in_channel")
        await house.customer.say(CUE, "/human")
        await house.customer.until_shown("I am sorry, I cannot reach anybody", at_desk=False)
        await house.customer.say(CUE, "well then")
        await house.customer.until_shown("I heard: well then", at_desk=False)
