"""A message that Telegram delivers as several updates, from end to end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.engine.scripted import ScriptedEngine
from core.prompt import Prompt
from tests.bots.telegram.conftest import Gateway, StillClock, answers, done, open_gateway, rows
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.world import Json

MODES = ["polling", "webhook"]
GROUP: Json = {"id": -100, "type": "supergroup", "title": "g"}
AT: Json = {"date": 1_750_000_000}
FILE: Json = {"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}
PICTURE: Json = {"extra": {"photo": [FILE], "media_group_id": "al"}}
VIDEO: Json = {"extra": {"video": {**FILE, "duration": 1}, "media_group_id": "al"}}
FORWARD: Json = {"extra": {"forward_origin": {"type": "hidden_user", "sender_user_name": "Zoe", "date": 1}}}


def heard() -> ScriptedEngine:
    """An engine that repeats the whole message."""
    return ScriptedEngine.replying(lambda prompt: prompt[-1].content.replace("\n", " "))


@asynccontextmanager
async def open_gatherer(account: Account, engine: ScriptedEngine, *, mode: str = "polling") -> AsyncIterator[Gateway]:
    """A gateway for which no time passes until it has accepted everything that was sent before."""
    clock = StillClock()
    async with open_gateway(account, engine, mode=mode, clock=clock) as gateway:
        await accepted(account)
        clock.start()
        yield gateway


async def accepted(account: Account) -> None:
    while (await account.state())["pending"]:
        await asyncio.sleep(0.01)


async def replies(account: Account) -> list[str]:
    return [entry["text"].removesuffix(" 😐") for entry in answers(await account.journal())]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_an_album_is_answered_once(account: Account, mode: str, place: int) -> None:
    """The caption of any picture is the question, and all kinds of media are told."""
    for number in range(3):
        caption = "Which is better?" if number == place else ""
        await account.say(person=5, caption=caption, **AT, **(VIDEO if number == 1 else PICTURE))
    async with open_gatherer(account, heard(), mode=mode):
        await account.until(done)
        await account.say("bye", person=6)
        await account.until(lambda journal: done(journal, text="bye"))
    album, bye = await replies(account)
    assert "a picture, a video." in album
    assert album.endswith("Which is better?")
    assert bye == "bye"


@pytest.mark.parametrize(("privacy", "media"), [(True, "a video"), (False, "a video, a picture")])
async def test_an_album_in_a_group_is_for_the_bot_if_one_caption_says_so(
    account: Account, *, privacy: bool, media: str
) -> None:
    """Pictures before the caption are not kept, and those after it belong to it, if the bot hears of them at all."""
    await account.hears_all(not privacy)
    question = f"@{account.username} which?"
    await account.say(person=5, chat=GROUP, **AT, **PICTURE)
    await account.say(person=5, chat=GROUP, caption=question, **AT, **VIDEO)
    await account.say(person=5, chat=GROUP, **AT, **PICTURE)
    await account.say(person=6, chat=GROUP, **AT, extra={"photo": [{}], "media_group_id": "another"})
    async with open_gatherer(account, heard()) as gateway:
        await account.until(lambda journal: done(journal, text=f"(Attached: {media}."))
        assert len(await rows(gateway, "SELECT id FROM turns")) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_long_text_is_answered_once(account: Account, mode: str) -> None:
    """The pieces of a long text are one message, also in a group, where only the first names the bot."""
    await account.hears_all()
    for chat, name in ((None, ""), (GROUP, f"@{account.username} ")):
        await account.say(name + "w" * 2_100, person=5, chat=chat, **AT)
        await account.say("w" * 2_100, person=5, chat=chat, **AT)
        await account.say("and what of dogs?", person=5, chat=chat, date=AT["date"] + 1)
    engine = ScriptedEngine.replying(lambda prompt: f"{len(prompt[-1].content)} characters")
    async with open_gatherer(account, engine, mode=mode) as gateway:
        await account.until(lambda journal: done(journal, 2))
        assert len(await rows(gateway, "SELECT id FROM turns")) == 2
    assert await replies(account) == ["4219 characters"] * 2


async def test_a_text_that_is_too_long_is_refused_once(account: Account) -> None:
    """A text of many pieces that are too much for the model gets one refusal."""
    for _ in range(3):
        await account.say("word " * 800, person=5, **AT)
    async with open_gatherer(account, heard()):
        await account.say("hi", person=6)
        journal = await account.until(lambda journal: done(journal) and len(shown(journal)) == 4)
    refusal = next(entry["text"] for entry in shown(journal, 5) if entry["do"] == "edit")
    assert "2400 tokens" in refusal


@pytest.mark.parametrize("order", ["comment first", "comment last"])
async def test_a_forward_and_its_comment_are_one_message(account: Account, order: str) -> None:
    """The comment is the question, and what is forwarded with it is quoted, also if several messages are."""
    updates: list[Json] = [{"text": "What do they mean?"}, {"text": "It rains", **FORWARD}, {"text": "Yes", **FORWARD}]
    for given in updates if order == "comment first" else [*updates[1:], updates[0]]:
        await account.say(**given, person=5, **AT)
    async with open_gatherer(account, heard()) as gateway:
        await account.until(lambda journal: done(journal, text="Yes"))
        assert len(await rows(gateway, "SELECT id FROM turns")) == 1
    said = (await replies(account))[-1]
    assert said == "(I forward another person's message:) > It rains > Yes  What do they mean?"


@pytest.mark.parametrize("chat", [None, GROUP])
async def test_a_forward_reaches_the_answer_to_its_comment(account: Account, chat: Json | None) -> None:
    """If the comment is being answered already, that answer is given up, and the one that is shown has both."""
    begun = asyncio.Event()
    prompts: list[str] = []

    async def script(prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        prompts.append(prompt[-1].content)
        begun.set()
        if len(prompts) == 1:
            yield "Where is the "
            await asyncio.Event().wait()
        yield "It says that it rains."

    await account.hears_all()
    comment = f"@{account.username} what is this?" if chat else "what is this?"
    clock = StillClock()
    async with open_gateway(account, ScriptedEngine(script), slots=1, clock=clock) as gateway:
        await account.say(comment, person=5, chat=chat, **AT)
        await begun.wait()
        await account.say("It rains", person=5, chat=chat, **AT, **FORWARD)
        await accepted(account)
        clock.start()
        journal = await account.until(done)
        assert await rows(gateway, "SELECT attempts FROM turns") == [(1,)]
    assert [entry["text"] for entry in answers(journal)] == ["It says that it rains. 😐"]
    assert len({entry["message"] for entry in shown(journal)}) == 1
    assert "It rains" in prompts[1]
