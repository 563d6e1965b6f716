"""Edited messages on Telegram, from end to end. The Bot API tells bots of deletions in business chats only."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core.engine.scripted import ScriptedEngine
from core.prompt import Prompt
from tests.bots.telegram.conftest import answers, done, open_gateway, rows
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.world import Json

GROUP: Json = {"id": -100, "type": "supergroup", "title": "g"}
LONG = "\n".join(f"line {number} {'w' * 990}" for number in range(9))


def heard() -> ScriptedEngine:
    return ScriptedEngine.replying(lambda prompt: LONG if prompt[-1].content == "long" else prompt[-1].content)


async def bye(account: Account) -> list[str]:
    """Wait until what came before is done, and return the model's replies before it."""
    await account.say("bye", person=6)
    journal = await account.until(lambda journal: done(journal, text="bye"))
    return [entry["text"].removesuffix(" 😐") for entry in answers(journal) if entry["chat"] != 6]


@pytest.mark.parametrize("mode", ["polling", "webhook"])
async def test_an_answer_is_edited_once_for_an_edit(account: Account, mode: str) -> None:
    """The answer to the edited question takes the place of the old one, with one edit and no new message."""
    async with open_gateway(account, heard(), mode=mode) as gateway:
        said = await account.say("Waht is the capitl?", person=5)
        before = await account.until(done)
        await account.edit(5, said["message_id"], "What is the capital?")
        journal = await account.until(lambda journal: done(journal, 2))
        assert [entry["do"] for entry in shown(journal[len(before) :], 5)] == ["edit"]
        assert len({entry["message"] for entry in shown(journal, 5)}) == 1
        assert await rows(gateway, "SELECT text FROM turns") == [("What is the capital?",)]
    assert texts(journal) == ["Waht is the capitl?", "What is the capital?"]


def texts(journal: list[Json]) -> list[str]:
    return [entry["text"].removesuffix(" 😐") for entry in answers(journal)]


async def test_a_question_edited_while_the_bot_is_away_is_answered_once(account: Account) -> None:
    """The edit that waits behind its message replaces it before it is answered, or restarts the answer."""
    said = await account.say("old", person=5)
    await account.edit(5, said["message_id"], "new")
    async with open_gateway(account, heard()):
        journal = await account.until(lambda journal: done(journal, text="new"))
    assert len({entry["message"] for entry in shown(journal, 5)}) == 1


async def test_an_answer_under_way_is_begun_anew(account: Account) -> None:
    """The answer to the old words is given up."""
    begun = asyncio.Event()
    prompts: list[str] = []

    async def script(prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        prompts.append(prompt[-1].content)
        begun.set()
        if len(prompts) == 1:
            yield "Once upon "
            await asyncio.Event().wait()
        yield "Rome."

    async with open_gateway(account, ScriptedEngine(script), slots=1):
        said = await account.say("Tell a story", person=5)
        await begun.wait()
        await account.edit(5, said["message_id"], "What is the capital of Italy?")
        journal = await account.until(done)
    assert [entry["text"] for entry in answers(journal)] == ["Rome. 😐"]
    assert len({entry["message"] for entry in shown(journal)}) == 1


@pytest.mark.parametrize("is_old", [False, True])
async def test_a_shorter_answer_leaves_no_rest_of_the_longer_one(account: Account, *, is_old: bool) -> None:
    """Messages that the new answer does not need are deleted; after two days, when that is not allowed, emptied."""
    async with open_gateway(account, heard()):
        said = await account.say("long", person=5)
        journal = await account.until(done)
        messages = {entry["message"] for entry in shown(journal, 5)}
        assert len(messages) > 1
        if is_old:
            await account.advance(3 * 86_400)
        await account.edit(5, said["message_id"], "short")
        journal = await account.until(lambda journal: done(journal, 2))
    gone = {entry["message"] for entry in journal if entry["do"] == "delete"}
    emptied = {entry["message"] for entry in shown(journal, 5) if entry["do"] == "edit" and entry["text"] == "…"}
    assert (emptied if is_old else gone) == messages - {min(messages)}


async def test_an_edit_without_a_change_of_words_is_left_alone(account: Account) -> None:
    """Telegram also reports changes that concern no words, such as a live location that moves."""
    location: Json = {"extra": {"location": {"latitude": 1.0, "longitude": 1.0}}}
    async with open_gateway(account, heard()):
        said = await account.say("hello", person=5)
        place = await account.say(person=5, **location)
        await account.until(lambda journal: done(journal, 1))
        count = len(await bye(account))
        await account.edit(5, said["message_id"])
        await account.edit(5, place["message_id"], extra={"location": {"latitude": 2.0, "longitude": 1.0}})
        await account.say("last", person=7)
        journal = await account.until(lambda journal: done(journal, text="last"))
    assert len([entry for entry in answers(journal) if entry["chat"] == 5]) == count


async def test_an_edit_in_a_group_follows_the_rules_of_addressing(account: Account) -> None:
    """A name that is added makes a question; an edit of what was said to others is not read."""
    await account.hears_all()
    async with open_gateway(account, heard()) as gateway:
        first = await account.say("what is it?", person=5, chat=GROUP)
        other = await account.say("just us", person=5, chat=GROUP)
        await account.edit(-100, other["message_id"], "only us")
        await account.edit(-100, first["message_id"], f"@{account.username} what is it?")
        await account.until(lambda journal: done(journal, text="what is it?"))
        assert await rows(gateway, "SELECT text FROM turns") == [("what is it?",)]
