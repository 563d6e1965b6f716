"""Conversations on Telegram from end to end, over real sockets."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from core.commands import COMMANDS, MOOD, offered
from core.engine.scripted import ScriptedEngine
from core.messages import Locale
from tests.bots.telegram.conftest import LIMITS, answers, done, echo, open_gateway, rows
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.world import Json

MODES = ["polling", "webhook"]
WORD = "w" * 49
GROUP: Json = {"id": -100, "type": "supergroup", "title": "g"}


@pytest.mark.parametrize("mode", MODES)
async def test_a_private_message_is_answered_in_one_message(account: Account, mode: str) -> None:
    """A private message is answered with the first sentence, which is edited into the reply with buttons and mood."""
    async with open_gateway(account, ScriptedEngine.fixed("I am fine, thank you. And you?"), mode=mode):
        await account.say("How are you?", person=5)
        journal = await account.until(done)
    first, reply = shown(journal)
    assert (first["text"], first["silent"], first["reply_to"]) == ("I am fine, thank you. …", False, 0)
    assert (reply["do"], reply["message"]) == ("edit", first["message"])
    assert reply["text"] == "I am fine, thank you. And you? 😐"
    assert [data.split(":")[1] for data in reply["buttons"]] == ["up", "down", "again"]
    assert not reply["preview"]
    assert reply["parse_mode"] == ""


@pytest.mark.parametrize("mode", MODES)
async def test_a_group_is_answered_in_a_reply(account: Account, mode: str) -> None:
    """In a group the answer replies to the question and notifies no one; other messages are not answered."""
    async with open_gateway(account, ScriptedEngine.fixed("ask @ann"), mode=mode):
        first = await account.say("hello all", chat=GROUP)
        second = await account.say(f"@{account.username} hi", chat=GROUP)
        journal = await account.until(done)
    assert {entry["reply_to"] for entry in shown(journal)} == {second["message_id"]} != {first["message_id"]}
    assert [entry["text"] for entry in shown(journal)] == ["ask @\u2060ann 😐 …", "ask @\u2060ann 😐"]


async def test_a_topic_is_answered_in_the_topic(account: Account) -> None:
    """The answer goes into the topic of the question; a chain of replies in a plain group is not a topic."""
    async with open_gateway(account):
        await account.say("/help", chat=GROUP, topic=44)
        topic = await account.until(lambda journal: len(shown(journal)) == 2)
        await account.say("/help", chat={**GROUP, "id": -200}, extra={"message_thread_id": 77})
        chain = await account.until(lambda journal: len(shown(journal)) == 4)
    assert [entry["thread"] for entry in shown(topic)] == [44, 44]
    assert [entry["thread"] for entry in shown(chain, -200)] == [0, 0]


async def test_a_command_has_no_buttons_and_edits_are_not_answered(account: Account) -> None:
    """A command's answer has no buttons, and an edit of the command is not answered."""
    async with open_gateway(account):
        message = await account.say("/help", person=5)
        await account.until(lambda journal: len(shown(journal)) == 2)
        await account.edit(5, message["message_id"], "/stats")
        await account.say("/mood off", person=5)
        journal = await account.until(lambda journal: len(shown(journal)) == 4)
    texts = [entry["text"] for entry in shown(journal) if entry["do"] == "edit"]
    assert texts[0].startswith("Just write to me")
    assert texts[1].startswith("I will keep the mood")
    assert not any(entry["buttons"] for entry in shown(journal))


async def test_media_without_words_gets_a_sentence_once(account: Account) -> None:
    """An album of three pictures without a caption is answered with one sentence."""
    async with open_gateway(account) as gateway:
        for _ in range(3):
            await account.say(person=5, extra={"photo": [{}], "media_group_id": "al"})
        await account.say("hi", person=6)
        journal = await account.until(lambda journal: done(journal) and len(shown(journal)) >= 4)
        assert len(await rows(gateway, "SELECT id FROM turns")) == 2
    assert [entry["text"] for entry in shown(journal, 5) if entry["do"] == "edit"] == [
        "I cannot see pictures yet. Could you tell me in words?"
    ]


async def test_the_menu_is_in_both_languages(account: Account) -> None:
    """Every command of the registry is offered: in Chinese if a person's Telegram is Chinese, otherwise in English."""
    async with open_gateway(account):
        await account.until(lambda journal: sum(entry["do"] == "commands" for entry in journal) == 3)
        commands = (await account.state())["commands"]
    assert [command["command"] for command in commands[""]] == [command["command"] for command in commands["zh"]]
    locales: dict[str, Locale] = {"": "en", "en": "en", "zh": "zh"}
    for language, locale in locales.items():
        assert commands[language] == [
            {"command": command.name, "description": command.describe(locale)} for command in COMMANDS
        ]
    assert commands[""][0] == {"command": "help", "description": "What I can do"}
    assert commands["zh"][0]["description"] == "看看我会做什么"


async def test_the_menu_offers_what_there_is(account: Account) -> None:
    """The menu has the commands that the operator offers."""
    async with open_gateway(account, menu=offered("never")):
        await account.until(lambda journal: sum(entry["do"] == "commands" for entry in journal) == 3)
        commands = (await account.state())["commands"]
    assert {MOOD.name} == {command.name for command in COMMANDS} - {command["command"] for command in commands[""]}


async def test_one_vote_a_person(account: Account) -> None:
    """A person's later vote replaces the earlier one, a forged one is ignored, and every press is acknowledged."""
    async with open_gateway(account) as gateway:
        await account.say("hi", person=5)
        reply = answers(await account.until(done))[0]
        up, down, _ = reply["buttons"]
        forged = up[:-12] + "0" * 12
        for data, person in ((up, 5), (down, 5), (up, 6), (forged, 7)):
            await account.press(5, reply["message"], data, person=person)
        journal = await account.until(lambda journal: sum(entry["do"] == "answer" for entry in journal) == 4)
        votes = await rows(gateway, "SELECT vote FROM votes ORDER BY cast_at")
    assert [vote for (vote,) in votes] == [-1, 1]
    assert sorted(entry["text"] for entry in journal if entry["do"] == "answer") == ["", *["Thank you!"] * 3]


async def test_an_upgraded_group_is_the_same_group(account: Account) -> None:
    """A group that becomes a supergroup keeps its history, and its next message is answered there."""
    engine = echo()
    group = {"id": -100, "type": "group", "title": "g"}
    async with open_gateway(account, engine):
        await account.say(f"@{account.username} before", chat=group)
        await account.until(done)
        await account.migrate(-100, -1001)
        await account.say(f"@{account.username} after", chat={**group, "id": -1001, "type": "supergroup"})
        journal = await account.until(lambda journal: done(journal, 2))
    assert [entry["chat"] for entry in answers(journal)] == [-100, -1001]
    assert "before" in str(engine.prompts[1])


async def test_a_stranger_does_not_vote(account: Account) -> None:
    """A vote of a person who is not allowed is not recorded, and the person is not thanked."""
    async with open_gateway(account, limits=replace(LIMITS, allow=frozenset({"telegram:5"}))) as gateway:
        await account.say(f"@{account.username} hi", person=5, chat=GROUP)
        reply = answers(await account.until(done))[0]
        await account.press(GROUP["id"], reply["message"], reply["buttons"][0], person=6)
        journal = await account.until(lambda journal: [entry for entry in journal if entry["do"] == "answer"])
        assert await rows(gateway, "SELECT vote FROM votes") == []
    assert [entry["text"] for entry in journal if entry["do"] == "answer"] == [""]


async def test_again_asks_once_more(account: Account) -> None:
    """The again button has the last question answered in a new message."""
    async with open_gateway(account, echo()):
        await account.say("apples", person=5)
        first = answers(await account.until(done))[0]
        await account.press(5, first["message"], first["buttons"][2], person=5)
        journal = await account.until(lambda journal: done(journal, 2))
    assert [entry["text"] for entry in answers(journal)] == ["you said apples 😐"] * 2
    assert len({entry["message"] for entry in answers(journal)}) == 2


async def test_a_long_reply_comes_in_parts(account: Account) -> None:
    """Each part of a long reply has its own placeholder, and the last part has the buttons."""
    async with open_gateway(account, ScriptedEngine.fixed(f"{WORD} " * 200), slots=1):
        await account.say("tell", person=5)
        journal = await account.until(done)
    texts = {entry["message"]: entry["text"] for entry in shown(journal)}
    assert len(texts) == 3
    assert " ".join(texts.values()).split() == [WORD] * 200 + ["😐"]
    assert answers(journal)[0]["message"] == max(texts)


async def test_a_long_reply_comes_in_parts_in_a_group(account: Account) -> None:
    """In a group the first placeholder becomes the first part of a long reply."""
    async with open_gateway(account, ScriptedEngine.fixed(f"{WORD} " * 150)):
        await account.say(f"@{account.username} tell", chat=GROUP)
        journal = await account.until(done)
    texts = {entry["message"]: entry["text"] for entry in shown(journal)}
    assert len(texts) == 2
    assert " ".join(texts.values()).split() == [WORD] * 150 + ["😐"]


async def test_a_draft_shows_the_reply_as_it_is_written(account: Account) -> None:
    """A draft shows "thinking", then the growing reply, repeatedly, and ends before the reply is sent."""
    thought, written = asyncio.Event(), asyncio.Event()

    async def script(_prompt: object, _call: int) -> AsyncGenerator[str, None]:
        await thought.wait()
        yield "Once upon "
        await written.wait()
        yield "a time"

    async with open_gateway(account, ScriptedEngine(script)):
        await account.say("tell", person=5)
        await account.until(lambda journal: any(entry["do"] == "draft" for entry in journal))
        thought.set()
        await account.until(lambda journal: sum(e["do"] == "draft" and e["text"] == "Once upon" for e in journal) >= 2)
        written.set()
        journal = await account.until(done)
    drafts = [entry for entry in journal if entry["do"] == "draft"]
    assert drafts[0]["text"] == ""
    assert drafts[2]["at"] - drafts[1]["at"] >= 15
    assert [entry["action"] for entry in journal if entry["do"] == "action"][:2] == ["typing"] * 2
    reply = next(number for number, entry in enumerate(journal) if entry["do"] == "send")
    assert not [entry for entry in journal[reply:] if entry["do"] == "draft"]


async def test_a_flood_wait_delays_the_reply_and_loses_nothing(account: Account) -> None:
    """A rate limit of one chat delays its reply, while another chat is answered at once."""
    async with open_gateway(account, echo()):
        await account.faults({"method": "editMessageText", "kind": "error", "retry_after": 40, "chat": 5})
        await account.say("patience", person=5)
        await account.until(lambda journal: [entry for entry in journal if entry.get("fault")])
        await account.say("at-once", person=6)
        journal = await account.until(lambda journal: done(journal, 2))
    first, second = answers(journal)
    assert (first["chat"], second["chat"]) == (6, 5)
    refused = next(entry for entry in journal if entry.get("fault"))
    assert second["at"] - refused["at"] >= 39
    assert len(shown(journal, 5)) == 2
