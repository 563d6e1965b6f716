"""Personal answers that were asked for in a group reach the private chat, or the group is shown a link to it."""

from dataclasses import replace

import pytest

from core.clock import ManualClock
from core.commands import COMMANDS, Command
from core.delivery import Claim
from core.errors import DeliveryFailed
from core.i18n import say
from core.messages import Kind, Reply, Source
from tests.bots.telegram.conftest import Gateway, done, open_gateway, rows
from tests.bots.telegram.test_delivery import ANN, LONG, ROOM, asked, calls, deliver, in_time, opened, placed, texts
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import Json

GROUP: Json = {"id": ROOM, "type": "supergroup", "title": "g"}
SECRET = "my canary sings at night"
PRIVATE_REPLY = Reply(text="three birds", source=Source.COMMAND)
PERSONAL = [command for command in COMMANDS if command.is_personal]
CLOSED = {"method": "sendMessage", "kind": "error", "status": 403, "chat": ANN}
UNKNOWN = CLOSED | {"status": 400, "description": "Bad Request: chat not found"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def aside(account: Account, text: str = "/export", *, turn: int = 1) -> Claim:
    """The claim of a personal command in a group, whose sender has opened the private chat."""
    await account.say("hello", person=ANN)
    claim = await asked(account, ROOM, turn=turn)
    return replace(claim, message=replace(claim.message, text=text))


def files(journal: list[Entry]) -> list[Entry]:
    return [entry for entry in journal if entry["do"] == "file"]


def linked(account: Account, command: str) -> str:
    return say("en", "private.link", link=f"https://t.me/{account.username}?start={command}")


@pytest.mark.parametrize("typed", ["/stats", "/export", "/mood off", "/lang en", "/stats@{bot}", "@{bot} /export"])
async def test_a_personal_answer_goes_to_the_private_chat(account: Account, typed: str) -> None:
    """What a person asks about themselves in a group is answered in the private chat; the group sees nothing."""
    async with open_gateway(account) as gateway:
        await account.say(SECRET, person=ANN)
        before = len(shown(await account.until(done)))
        await account.say(typed.format(bot=account.username), person=ANN, chat=GROUP)
        journal = await account.until(lambda journal: len(shown(journal)) == before + 2)
        await delivered(gateway)
    assert not shown(await account.journal(), ROOM)
    assert shown(journal)[-1]["chat"] == ANN
    assert (SECRET in shown(journal)[-1]["text"]) == ("export" in typed)


async def test_other_answers_stay_in_the_group(account: Account) -> None:
    """The model's answer to a question about oneself, and /help, are answered where they were asked."""
    async with open_gateway(account):
        await account.say(f"@{account.username} what do you know about me?", person=ANN, chat=GROUP)
        await account.until(done)
        await account.say("/help", person=ANN, chat=GROUP)
        journal = await account.until(lambda journal: len(shown(journal, ROOM)) >= 4)
    assert not shown(journal, ANN)


@pytest.mark.parametrize("why", ["never opened", "blocked"])
async def test_without_a_private_chat_the_group_is_shown_a_link(account: Account, why: str) -> None:
    """If the bot may not write to the person, the group is shown one line with a link, and the link works."""
    async with open_gateway(account) as gateway:
        if why == "blocked":
            await account.say("hi", person=ANN)
            await account.until(done)
            await account.block(ANN)
        await account.say(f"@{account.username} {SECRET}", person=ANN, chat=GROUP)
        await account.until(lambda journal: done([entry for entry in journal if entry.get("chat") == ROOM]))
        await account.say("/export", person=ANN, chat=GROUP)
        link = linked(account, "export")
        journal = await account.until(lambda journal: link in texts(journal, ROOM))
        assert [text for text in texts(journal, ROOM) if "canary" in text] == []
        if why == "blocked":
            await account._act("unblock", chat=ANN)
        await account.say("/start export", person=ANN)
        await account.until(lambda journal: SECRET in "".join(texts(journal, ANN)))
        await delivered(gateway)


async def test_a_link_calls_personal_commands_only(account: Account) -> None:
    """Any other word after /start is an ordinary /start: a link may come from anybody."""
    async with open_gateway(account):
        for payload in ("reset", "retry", "abc_DEF-1"):
            await account.say(f"/start {payload}", person=ANN)
        journal = await account.until(lambda journal: len(shown(journal, ANN)) == 6)
    assert {text.partition(",")[0] for text in texts(journal)} == {"Hello"}


@pytest.mark.parametrize("command", PERSONAL, ids=str)
@pytest.mark.parametrize("fault", [CLOSED, UNKNOWN], ids=["403", "400"])
async def test_the_link_names_the_command_alone(
    account: Account, clock: ManualClock, command: Command, fault: Json
) -> None:
    """The link carries no argument, so that pressing somebody's link decides nothing."""
    claim = await aside(account, f"{command} yes")
    await account.faults(fault)
    async with opened(account, clock) as delivery:
        await deliver(delivery, claim, PRIVATE_REPLY)
    assert texts(await account.journal(), ROOM) == [linked(account, command.name)]
    assert texts(await account.journal(), ANN) == []


async def test_names_stay_as_they_are_in_private(account: Account, clock: ManualClock) -> None:
    """In the private chat nobody else could be notified, so no name in the reply is broken."""
    claim = await aside(account)
    async with opened(account, clock) as delivery:
        await deliver(delivery, claim, Reply(text="you asked @ann", source=Source.COMMAND))
    assert texts(await account.journal(), ANN) == ["you asked @ann"]


async def test_once_in_the_group_it_stays_there(account: Account, clock: ManualClock) -> None:
    """A link whose placeholder is committed is not followed by the reply in private: it would leave the placeholder."""
    claim = await aside(account)
    await account.faults(CLOSED)
    async with opened(account, clock) as delivery:
        claim = await placed(delivery, claim, PRIVATE_REPLY)
    async with opened(account, clock) as another:
        await deliver(another, claim, PRIVATE_REPLY)
    assert texts(await account.journal(), ROOM) == [linked(account, "export")]
    assert texts(await account.journal(), ANN) == []


@pytest.mark.parametrize("reply", [PRIVATE_REPLY, LONG], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["lost", "cut", "mute", "silence"])
async def test_a_crash_loses_and_doubles_nothing(account: Account, clock: ManualClock, kind: str, reply: Reply) -> None:
    """If a call is not confirmed, the next process puts the reply into the same message of the private chat."""
    claim = await aside(account)
    await account.faults({"method": "editMessageMedia" if reply is LONG else "editMessageText", "kind": kind})
    async with opened(account, clock, read=0.3) as delivery:
        claim = await placed(delivery, claim, reply)
        with pytest.raises(DeliveryFailed):
            await delivery.finish(claim, reply)
    async with opened(account, clock) as another:
        await another.finish(claim, reply)
    state = await account.state()
    (message,) = [one for one in state["chats"][str(ANN)] if one["from"]["is_bot"]]
    assert message.get("text", "") == ("" if reply is LONG else reply.text)
    assert texts(await account.journal(), ROOM) == []


@pytest.mark.parametrize("chat", [ANN, ROOM])
async def test_a_long_one_is_a_file(account: Account, clock: ManualClock, chat: int) -> None:
    """An export that is longer than a message is a document in the private chat, wherever it was asked for."""
    claim = await aside(account)
    if chat == ANN:
        there = replace(claim.message.conversation, chat=str(ANN))
        claim = replace(claim, message=replace(claim.message, kind=Kind.PRIVATE, conversation=there))
    async with opened(account, clock) as delivery:
        claim = await deliver(delivery, claim, LONG)
        await delivery.finish(claim, LONG)
    (first, *again) = files(await account.journal())
    assert (first["chat"], first["name"], first["text"]) == (ANN, "parley-export.json", LONG.text)
    assert first["caption"] == say("en", "private.file")
    assert {entry["text"] for entry in again} == {LONG.text}


async def test_a_refused_file_comes_in_parts(account: Account, clock: ManualClock) -> None:
    """If Telegram refuses the document, the reply comes as several messages of the private chat."""
    claim = await aside(account)
    await account.faults({"method": "editMessageMedia", "kind": "error", "status": 400, "times": 9})
    async with opened(account, clock) as delivery:
        await in_time(clock, deliver(delivery, claim, LONG))
    journal = await account.journal()
    assert "\n".join(texts(journal, ANN)) == LONG.text
    assert calls(journal, "editMessageMedia") == 1
    assert texts(journal, ROOM) == []


async def test_a_deleted_message_is_replaced_in_private(account: Account, clock: ManualClock) -> None:
    """If the person deletes the placeholder, the file is shown in another message of the private chat."""
    claim = await aside(account)
    async with opened(account, clock) as delivery:
        claim = await placed(delivery, claim, LONG)
        (placeholder,) = shown(await account.journal())
        await account.delete(ANN, placeholder["message"])
        await deliver(delivery, claim, LONG)
    assert [entry["chat"] for entry in files(await account.journal())] == [ANN]
    assert texts(await account.journal(), ROOM) == []


async def test_an_upgraded_group_is_shown_the_link(account: Account, clock: ManualClock) -> None:
    """If the group has become a supergroup, the link is shown there."""
    claim = await aside(account)
    await account.faults(CLOSED)
    async with opened(account, clock) as delivery:
        claim = await placed(delivery, claim, PRIVATE_REPLY)
        await account.migrate(ROOM, -1001)
        await in_time(clock, deliver(delivery, claim, PRIVATE_REPLY))
    assert texts(await account.journal(), -1001) == [linked(account, "export")]


async def delivered(gateway: Gateway) -> None:
    while await rows(gateway, "SELECT id FROM turns WHERE state <> 'delivered'"):
        pass


async def test_a_sender_in_a_chats_name_is_shown_the_link(account: Account) -> None:
    """A personal answer to an anonymous administrator has no private chat to go to, so the group is shown the link."""
    someone = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
    async with open_gateway(account):
        await account.say("/export", person=someone, chat=GROUP, extra={"sender_chat": GROUP})
        journal = await account.until(lambda journal: linked(account, "export") in texts(journal, ROOM))
    assert {entry["chat"] for entry in shown(journal)} == {ROOM}
