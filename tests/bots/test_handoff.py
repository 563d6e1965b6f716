"""A conversation is handed over to a person, and back, on both platforms and between them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from tests.bots.desk import ANN, BOB, CUE, House, OnSlack, Platform, Shown, open_house
from tests.fakes.slack.client import FakeSlack
from tests.fakes.telegram.control import Account

PAIRS: list[tuple[Platform, Platform]] = [
    (customer, operators) for customer in ("telegram", "slack") for operators in ("telegram", "slack")
]


@pytest.fixture(params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
async def house(request: pytest.FixtureRequest, account: Account, slack: FakeSlack) -> AsyncIterator[House]:
    customer, operators = request.param
    async with open_house(account, slack, customer, operators) as opened:
        yield opened


def texts(found: list[Shown]) -> list[str]:
    return [one.text for one in found]


async def test_words_go_both_ways_and_the_model_is_silent(house: House) -> None:
    """From the request to the end the customer and the owner read each other, in order, and the model says nothing."""
    await house.customer.say(CUE, "my parcel is late")
    await house.customer.until_shown("I heard: my parcel is late", at_desk=False)
    summary = await house.handed_over()
    assert "> my parcel is late" in summary.text
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
