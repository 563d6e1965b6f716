"""Conversations on Telegram from end to end, over real sockets."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial

import pytest

from bots.fronts import Welcome
from core.commands import COMMANDS, MOOD, offered
from core.engine.scripted import ScriptedEngine
from core.messages import Locale
from tests.bots.telegram.conftest import LIMITS, answers, done, echo, notices, open_gateway, rows
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import Json

MODES = ["polling", "webhook"]
WORD = "w" * 49
GROUP: Json = {"id": -100, "type": "supergroup", "title": "g"}
FORUM: Json = {**GROUP, "id": -200, "is_forum": True}


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


@pytest.mark.parametrize("mode", MODES)
async def test_a_renamed_bot_knows_its_new_name(account: Account, mode: str) -> None:
    """A mention and a command with the new name are answered without a restart, and the old name is a stranger's."""
    old = account.username
    async with open_gateway(account, echo(), mode=mode) as gateway:
        await account.say(f"@{old} first", chat=GROUP)
        await account.until(partial(done, text="first"))
        await account.rename(f"New{old}")
        await account.say(f"@{account.username} second", chat=GROUP)
        await account.until(partial(done, text="second"))
        await account.say(f"/help@{account.username}", chat=GROUP)
        await account.until(lambda journal: "/reset" in str(shown(journal)))
        await account.say(f"/help@{old}", chat=GROUP)
        await account.say("third", person=5)
        await account.until(partial(done, text="third"))
        assert len(await rows(gateway, "SELECT id FROM turns")) == 4


async def test_a_topic_is_answered_in_the_topic(account: Account) -> None:
    """The answer goes into the topic of the question; a chain of replies in a plain group is not a topic."""
    async with open_gateway(account):
        await account.say("/help", chat=GROUP, topic=44)
        topic = await account.until(lambda journal: len(shown(journal)) == 2)
        await account.say("/help", chat={**GROUP, "id": -200}, extra={"message_thread_id": 77})
        chain = await account.until(lambda journal: len(shown(journal)) == 4)
    assert [entry["thread"] for entry in shown(topic)] == [44, 44]
    assert [entry["thread"] for entry in shown(chain, -200)] == [0, 0]


async def test_a_command_has_no_buttons_and_is_answered_anew_if_it_is_edited(account: Account) -> None:
    """A command's answer has no buttons, and becomes that of another command if the command is edited."""
    async with open_gateway(account):
        message = await account.say("/help", person=5)
        await account.until(lambda journal: len(shown(journal)) == 2)
        await account.edit(5, message["message_id"], "/stats")
        await account.until(lambda journal: len(shown(journal)) == 3)
        await account.say("/mood off", person=5)
        journal = await account.until(lambda journal: len(shown(journal)) == 5)
    texts = [entry["text"] for entry in shown(journal) if entry["do"] == "edit"]
    assert texts[0].startswith("Just write to me")
    assert texts[1].startswith("Messages: 0 answered")
    assert texts[2].startswith("I will keep the mood")
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
    async with open_gateway(account, welcome=Welcome(menu=offered("never"))):
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


def keyboards(journal: list[Entry]) -> list[list[str]]:
    """The faces of the buttons, after each change of a keyboard."""
    return [entry["faces"] for entry in journal if entry["do"] == "keyboard"]


async def test_a_vote_is_marked_in_the_keyboard(account: Account) -> None:
    """The thumb that was pressed last has a mark; the same press again changes and says nothing."""
    async with open_gateway(account):
        await account.say("hi", person=5)
        reply = answers(await account.until(done))[0]
        up, down, again = reply["buttons"]
        for number, data in enumerate((up, up, down), start=1):
            await account.press(5, reply["message"], data, person=5)
            await account.until(lambda journal, number=number: len(marks(journal)) == number)  # type: ignore[misc]
        journal = await account.until(lambda journal: len(keyboards(journal)) == 2)
        message = (await account.press(5, reply["message"], again, person=5))["message"]
    assert keyboards(journal) == [["👍 ✓", "👎", "🔁"], ["👍", "👎 ✓", "🔁"]]
    assert notices(journal) == ["Thank you!", "", "Thank you!"]
    (row,) = message["reply_markup"]["inline_keyboard"]
    assert [button["callback_data"] for button in row] == [up, down, again]


async def test_a_vote_in_a_group_is_named_to_the_voter(account: Account) -> None:
    """Each voter is told their own vote, and the keyboard of all stays as it is."""
    async with open_gateway(account):
        await account.say(f"@{account.username} hi", person=5, chat=GROUP)
        reply = answers(await account.until(done))[0]
        for data, person in ((reply["buttons"][0], 5), (reply["buttons"][1], 6)):
            await account.press(GROUP["id"], reply["message"], data, person=person)
        journal = await account.until(lambda journal: len(notices(journal)) == 2)
    assert sorted(notices(journal)) == ["👍 Thank you!", "👎 Thank you!"]
    assert marks(journal) == []


async def test_a_mark_that_fails_is_left_out(account: Account) -> None:
    """The vote counts and is thanked for, even if its answer was deleted meanwhile."""
    async with open_gateway(account) as gateway:
        await account.say("hi", person=5)
        reply = answers(await account.until(done))[0]
        await account.faults({"kind": "error", "method": "editMessageReplyMarkup", "status": 500})
        await account.press(5, reply["message"], reply["buttons"][0], person=5)
        journal = await account.until(marks)
        assert await rows(gateway, "SELECT vote FROM votes") == [(1,)]
    assert notices(journal) == ["Thank you!"]


def marks(journal: list[Entry]) -> list[Entry]:
    """The calls that change a keyboard, also those without effect."""
    return [entry for entry in journal if entry.get("method") == "editMessageReplyMarkup"]


async def test_the_asker_stops_an_answer_in_a_group(account: Account) -> None:
    """The first message has a button to stop, previews keep it, only the asker may press it, the answer has none."""
    text = "This is the beginning of the answer. And this goes on"
    async with open_gateway(account, ScriptedEngine.hanging(99, text=text)):
        await account.say(f"@{account.username} hello", person=5, chat=GROUP)
        journal = await account.until(lambda journal: len(shown(journal)) == 2)
        placeholder, preview = shown(journal)
        assert placeholder["text"] == "This is the beginning of the answer. …"
        (stop,) = placeholder["buttons"]
        assert preview["buttons"] == [stop]
        await account.press(GROUP["id"], placeholder["message"], stop, person=6)
        await account.until(notices)
        await account.press(GROUP["id"], placeholder["message"], stop, person=5)
        (answer,) = answers(await account.until(done))
        await account.press(GROUP["id"], placeholder["message"], stop, person=5)
        journal = await account.until(lambda journal: len(notices(journal)) == 3)
    assert answer["message"] == placeholder["message"]
    assert stop not in answer["buttons"]
    foreign, *own = notices(journal)
    assert "person who asked" in foreign
    assert own == ["Stopped.", "There is nothing to stop."]


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


async def test_anonymous_administrators_are_one_sender(account: Account) -> None:
    """They are refused as their group, whose entry admits them, and share its history and limits."""
    someone = {"id": 1087968824, "is_bot": True, "username": "GroupAnonymousBot"}
    question = {"person": someone, "chat": GROUP, "extra": {"sender_chat": GROUP}}
    async with open_gateway(account, limits=replace(LIMITS, allow=frozenset({"telegram:5"}))):
        await account.say(f"@{account.username} hi", **question)
        refused = await account.until(lambda journal: "telegram:chat:-100" in str(shown(journal)))
    assert len(shown(refused)) == 2
    engine = echo()
    async with open_gateway(
        account, engine, limits=replace(LIMITS, allow=frozenset({"telegram:chat:-100"}))
    ) as gateway:
        for word in ("one", "two"):
            await account.say(f"@{account.username} {word}", **question)
            await account.until(partial(done, text=f"you said {word}"))
        assert await rows(gateway, "SELECT key FROM people") == [(f"telegram/{account.id}/chat%3A-100",)]
    assert "you said one" in str(engine.prompts[-1])


async def test_media_through_an_inline_bot_get_a_notice(account: Account) -> None:
    """A GIF that a person sends through another bot is answered with what the bot cannot see."""
    async with open_gateway(account):
        gif = {"animation": {}, "via_bot": {"id": 77, "is_bot": True, "first_name": "gif", "username": "gif"}}
        await account.say(person=5, extra=gif)
        await account.until(lambda journal: "cannot see animations" in str(shown(journal)))


async def test_a_stranger_does_not_vote(account: Account) -> None:
    """A vote of a person who is not allowed is not recorded, and they alone are told why."""
    async with open_gateway(account, limits=replace(LIMITS, allow=frozenset({"telegram:5"}))) as gateway:
        await account.say(f"@{account.username} hi", person=5, chat=GROUP)
        reply = answers(await account.until(done))[0]
        await account.press(GROUP["id"], reply["message"], reply["buttons"][0], person=6)
        journal = await account.until(lambda journal: [entry for entry in journal if entry["do"] == "answer"])
        assert await rows(gateway, "SELECT vote FROM votes") == []
    (told,) = notices(journal)
    assert "telegram:6" in told


async def test_again_answers_the_question_above_it(account: Account) -> None:
    """Under the older of two answers the again button has the older question answered, in a new message."""
    async with open_gateway(account, echo()):
        await account.say("apples", person=5)
        first = answers(await account.until(done))[0]
        await account.say("pears", person=5)
        await account.until(lambda journal: done(journal, 2))
        await account.press(5, first["message"], first["buttons"][2], person=5)
        journal = await account.until(lambda journal: done(journal, 3))
        again = answers(journal)[2]
        await account.press(5, again["message"], again["buttons"][2], person=5)
        journal = await account.until(lambda journal: done(journal, 4))
    assert [entry["text"].split()[2] for entry in answers(journal)] == ["apples", "pears", "apples", "apples"]
    assert len({entry["message"] for entry in answers(journal)}) == 4
    assert notices(journal) == ["", ""]


async def test_again_is_answered_in_its_own_topic(account: Account) -> None:
    """The answer comes in the topic of the question, as a reply to the answer whose button was pressed."""
    async with open_gateway(account, echo()):
        for topic, word in ((91, "apples"), (92, "pears")):  # no ids of other messages
            await account.say(f"@{account.username} {word}", person=5, chat=FORUM, topic=topic)
        first = answers(await account.until(lambda journal: done(journal, 2)))[0]
        await account.press(FORUM["id"], first["message"], first["buttons"][2], person=5)
        again = answers(await account.until(lambda journal: done(journal, 3)))[2]
    assert (again["thread"], again["text"].split()[2]) == (first["thread"], first["text"].split()[2])
    assert again["reply_to"] == first["message"]


async def test_only_the_asker_has_it_answered_again(account: Account) -> None:
    """Another person in the group is told privately, and nothing is written."""
    async with open_gateway(account, echo()) as gateway:
        await account.say(f"@{account.username} apples", person=5, chat=GROUP)
        first = answers(await account.until(done))[0]
        await account.press(GROUP["id"], first["message"], first["buttons"][2], person=6)
        journal = await account.until(notices)
        assert len(await rows(gateway, "SELECT id FROM turns")) == 1
    (told,) = notices(journal)
    assert "person who asked" in told


async def test_a_button_under_a_forgotten_answer_is_explained(account: Account) -> None:
    """After /forget the person is told privately that the question is gone, and no answer comes."""
    async with open_gateway(account, echo()) as gateway:
        await account.say("apples", person=5)
        first = answers(await account.until(done))[0]
        await account.say("/forget yes", person=5)
        await account.until(lambda journal: [entry for entry in shown(journal) if "deleted" in entry["text"]])
        while await rows(gateway, "SELECT id FROM turns"):  # of /forget itself, until it is delivered
            await asyncio.sleep(0.01)
        await account.press(5, first["message"], first["buttons"][2], person=5)
        journal = await account.until(notices)
        assert not await rows(gateway, "SELECT id FROM turns")
    (told,) = notices(journal)
    assert "do not remember" in told


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
        await account.faults({"method": "editMessageText", "kind": "error", "retry_after": 200, "chat": 5})
        await account.say("patience", person=5)
        await account.until(lambda journal: [entry for entry in journal if entry.get("fault")])
        await account.say("at-once", person=6)
        journal = await account.until(lambda journal: done(journal, 2))
    first, second = answers(journal)
    assert (first["chat"], second["chat"]) == (6, 5)
    refused = next(entry for entry in journal if entry.get("fault"))
    assert second["at"] - refused["at"] >= 39
    assert len(shown(journal, 5)) == 2
