"""Replies arrive once, despite failures of Telegram. Real sockets and a manual clock."""

import asyncio
import cProfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest

from bots.telegram.adapter import open_telegram
from bots.telegram.delivery import TelegramDelivery
from bots.telegram.polling import Timeouts
from bots.telegram.previews import EDITS_AFTER
from bots.telegram.text import LIMIT, from_markdown, units
from config.settings import TelegramSettings
from core.clock import ManualClock
from core.delivery import Claim, Delivery
from core.errors import DeliveryFailed, RateLimited
from core.i18n import say
from core.messages import ConversationKey, Kind, Label, Message, Mood, Person, Reply, Source
from tests.fakes.telegram.control import SPEED, Account, shown
from tests.fakes.telegram.journal import Entry

R = TypeVar("R")

ANN, BEN, ROOM = 5, 6, -100
REPLY = Reply(text="the answer", source=Source.MODEL)
LONG = Reply(text="\n".join(["w" * 99] * 100), source=Source.COMMAND)
PARTS = 3
BEGINNING = "This is the first sentence. And "
GONE = "Bad Request: message can't be edited"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@asynccontextmanager
async def opened(account: Account, clock: ManualClock, *, read: float = 2.0) -> AsyncIterator[Delivery]:
    """The delivery of a new process."""
    settings = TelegramSettings.model_validate({"token": account.token, "base_url": account.base_url})
    async with open_telegram(settings, clock, Timeouts(read=read)) as telegram:
        (found,) = telegram.deliveries.values()
        yield found


async def asked(account: Account, chat: int = ANN, *, turn: int = 1) -> Claim:
    """The claim of a turn whose question the fake Telegram knows."""
    place = {} if chat > 0 else {"chat": {"id": chat, "type": "group", "title": "g"}}
    said = await account.say("/help", person=ANN if chat < 0 else chat, **place)
    message = Message(
        event_keys=(),
        conversation=ConversationKey(platform="telegram", workspace=str(account.id), chat=str(chat)),
        sender=Person(platform="telegram", workspace=str(account.id), id=str(ANN)),
        text="/help",
        sent_at=1.0,
        kind=Kind.GROUP if chat < 0 else Kind.PRIVATE,
        reference=str(said["message_id"]),
    )
    return Claim(id=turn, attempt=1, message=message, locale="en")


async def begun(delivery: Delivery, claim: Claim) -> Claim:
    """The claim after `begin`, as the worker keeps it."""
    return replace(claim, handle=await delivery.begin(claim))


async def shown_so_far(delivery: Delivery, claim: Claim, piece: str) -> Claim:
    """The claim after a piece of the reply, as the worker keeps it."""
    return replace(claim, handle=await delivery.preview(claim, piece) or claim.handle)


async def placed(delivery: Delivery, claim: Claim, reply: Reply = REPLY) -> Claim:
    """The claim after one `finish`, as the worker keeps it."""
    return replace(claim, handle=await delivery.finish(claim, reply))


async def deliver(delivery: Delivery, claim: Claim, reply: Reply = REPLY) -> Claim:
    """The claim after `finish` was repeated until it posts nothing more, as the worker does."""
    while (after := await placed(delivery, claim, reply)) != claim:
        claim = after
    return claim


async def in_time(clock: ManualClock, work: Coroutine[None, None, R]) -> R:
    """Run some work while time advances as fast as on the fake Telegram."""
    task = asyncio.create_task(work)
    while not task.done():
        clock.advance(0.005 * SPEED)
        await asyncio.sleep(0.005)
    return await task


def has_shown(count: int, journal: list[Entry]) -> bool:
    return len(shown(journal)) == count


def has_typed(count: int, journal: list[Entry]) -> bool:
    return calls(journal, "sendChatAction") == count


def texts(journal: list[Entry], chat: int = ANN) -> list[str]:
    """The final texts of a chat."""
    return list({entry["message"]: entry["text"] for entry in shown(journal, chat)}.values())


def seen(journal: list[Entry]) -> list[Entry]:
    """Everything that was shown, including drafts."""
    return [entry for entry in journal if entry["do"] in {"draft", "send", "edit"}]


def sends(journal: list[Entry]) -> list[Entry]:
    return [entry for entry in journal if entry["do"] == "send"]


def calls(journal: list[Entry], method: str) -> int:
    return sum(entry["do"] == "call" and entry["method"] == method for entry in journal)


async def test_a_reply_may_be_delivered_again_and_again(account: Account, clock: ManualClock) -> None:
    """A reply that is delivered repeatedly, by one process or two, is one message."""
    async with opened(account, clock) as delivery:
        claim = await deliver(delivery, await asked(account))
        await delivery.finish(claim, REPLY)
    async with opened(account, clock) as another:
        await another.finish(claim, REPLY)
    assert texts(await account.journal()) == ["the answer"]


async def test_a_lost_placeholder_is_left_behind_alone(account: Account, clock: ManualClock) -> None:
    """A send whose response was lost is not repeated by itself. Later one answer is shown, and at most its beginning is
    left. People are notified once.
    """
    await account.faults({"method": "sendMessage", "kind": "lost"})
    async with opened(account, clock) as delivery:
        claim = await asked(account)
        with pytest.raises(DeliveryFailed):
            await placed(delivery, claim)
        assert calls(await account.journal(), "sendMessage") == 1
        await deliver(delivery, claim)
    journal = await account.journal()
    assert texts(journal) == ["the answer …", "the answer"]
    assert [(entry["text"], entry["silent"]) for entry in sends(journal)] == [("the answer …", False), ("…", True)]


@pytest.mark.parametrize("kind", ["lost", "cut", "mute", "silence"])
async def test_an_unconfirmed_edit_is_repeated(account: Account, clock: ManualClock, kind: str) -> None:
    """An edit without a response is repeated, whether it took effect or not."""
    await account.faults({"method": "editMessageText", "kind": kind})
    async with opened(account, clock, read=0.3) as delivery:
        claim = await placed(delivery, await asked(account))
        with pytest.raises(DeliveryFailed):
            await delivery.finish(claim, REPLY)
        await delivery.finish(claim, REPLY)
    assert texts(await account.journal()) == ["the answer"]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 502}, {"status": 401}, {"status": 404}], ids=str)
async def test_a_broken_server_delays_the_reply(account: Account, clock: ManualClock, fault: dict[str, int]) -> None:
    """After a 5xx or a refused token the reply is offered again later, and not at once."""
    await account.faults({"method": "editMessageText", "kind": "error", **fault})
    async with opened(account, clock) as delivery:
        claim = await placed(delivery, await asked(account))
        with pytest.raises(DeliveryFailed) as caught:
            await delivery.finish(claim, REPLY)
        assert caught.value.retry_after >= 5
        assert calls(await account.journal(), "editMessageText") == 1
        await delivery.finish(claim, REPLY)
    assert texts(await account.journal()) == ["the answer"]


async def test_a_flood_wait_is_obeyed_in_its_chat_only(account: Account, clock: ManualClock) -> None:
    """While Telegram demands a wait of 137 s for a chat, no call is made to it and other chats are served."""
    await account.faults({"method": "editMessageText", "kind": "error", "retry_after": 137, "chat": ANN})
    async with opened(account, clock) as delivery:
        ann, ben = await asked(account, ANN), await asked(account, BEN, turn=2)
        ann = await placed(delivery, ann)
        for left in (137, 100):
            with pytest.raises(DeliveryFailed) as caught:
                await delivery.finish(ann, REPLY)
            assert caught.value.retry_after == left
            clock.advance(37)
        await deliver(delivery, ben)
        assert calls(await account.journal(), "editMessageText") == 2
        clock.advance(63)
        await delivery.finish(ann, REPLY)
    journal = await account.journal()
    assert texts(journal) == texts(journal, BEN) == ["the answer"]


async def test_a_flood_wait_met_by_a_preview_delays_the_reply(account: Account, clock: ManualClock) -> None:
    """A rate limit that a draft meets delays the reply without a further call."""
    await account.faults({"method": "sendMessageDraft", "kind": "error", "retry_after": 60})
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account))
        await account.until(lambda journal: calls(journal, "sendMessageDraft"))
        await clock.until_sleeping()
        with pytest.raises(DeliveryFailed) as caught:
            await placed(delivery, claim)
        assert caught.value.retry_after == 60
        assert calls(await account.journal(), "sendMessage") == 0
        clock.advance(60)
        await deliver(delivery, claim)
    assert texts(await account.journal()) == ["the answer"]


@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 403}, {"status": 500}, {"kind": "cut"}], ids=str)
async def test_a_preview_may_fail(account: Account, clock: ManualClock, fault: dict[str, object]) -> None:
    """The reply arrives even if drafts and typing fail."""
    await account.faults(
        {"method": "sendMessageDraft", "kind": "error", "times": 9, **fault},
        {"method": "sendChatAction", "kind": "error", "times": 9, **fault},
    )
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account))
        await delivery.preview(claim, "the ans")
        await account.until(lambda journal: calls(journal, "sendMessageDraft"))
        await deliver(delivery, claim)
    assert texts(await account.journal()) == ["the answer"]


@pytest.mark.parametrize("chat", [ANN, ROOM])
async def test_a_preview_never_arrives_after_the_reply(account: Account, clock: ManualClock, chat: int) -> None:
    """A preview under way is waited for, however slow Telegram is."""
    method = "sendMessageDraft" if chat > 0 else "editMessageText"
    await account.faults({"method": method, "kind": "late"})
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, chat))
        claim = await shown_so_far(delivery, claim, BEGINNING)
        if chat < 0:
            await clock.until_sleeping()
            clock.advance(EDITS_AFTER[0])
        await account.until(lambda journal: calls(journal, method))
        await deliver(delivery, claim)
    journal = await account.until(lambda journal: len(seen(journal)) >= 3)
    assert seen(journal)[-1]["text"] == "the answer"


async def test_a_dropped_turn_shows_no_more(account: Account, clock: ManualClock) -> None:
    """A turn that another gateway has taken over is not edited any more."""
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, ROOM))
        claim = await shown_so_far(delivery, claim, BEGINNING)
        await clock.until_sleeping()
        await delivery.drop(claim)
        assert await clock.until_sleeping(0) == []
    assert texts(await account.journal(), ROOM) == ["This is the first sentence. …"]


async def test_a_group_is_notified_of_the_first_sentence(account: Account, clock: ManualClock) -> None:
    """A group sees that the bot types; then the first sentence notifies of the reply, which it grows into."""
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, ROOM))
        await account.until(lambda journal: any(entry["do"] == "action" for entry in journal))
        for piece in ("No. ", "Whales ", "are mammals.", " They ", "breathe air."):
            claim = await shown_so_far(delivery, claim, piece)
        assert claim.handle != ""
        await deliver(delivery, claim)
    journal = await account.journal()
    (sent,) = sends(journal)
    assert (sent["text"], sent["silent"]) == ("No. Whales are mammals. …", False)
    assert sent["reply_to"] == int(claim.message.reference)
    assert texts(journal, ROOM) == ["the answer"]


async def test_a_group_sees_six_edits_ever_more_slowly(account: Account, clock: ManualClock) -> None:
    """A group's message is edited at growing intervals, at most six times before the reply."""
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, ROOM))
        claim = await shown_so_far(delivery, claim, BEGINNING)
        for number, seconds in enumerate(EDITS_AFTER):
            assert await clock.until_sleeping() == [seconds]
            await delivery.preview(claim, f"{number} ")
            clock.advance(seconds)
            await account.until(partial(has_shown, number + 2))
        await delivery.preview(claim, "no more")
        clock.advance(100)
        await deliver(delivery, claim)
    journal = await account.journal()
    assert len(shown(journal)) == 2 + len(EDITS_AFTER)
    assert texts(journal, ROOM) == ["the answer"]
    assert sum(entry["do"] == "action" for entry in journal) <= 1
    assert not [entry for entry in journal if entry["do"] in {"draft", "flood"}]


async def test_a_group_sees_typing_every_ten_seconds(account: Account, clock: ManualClock) -> None:
    """Typing is shown until the first sentence is known, rarely enough for a group's rate limit."""
    async with opened(account, clock) as delivery:
        await begun(delivery, await asked(account, ROOM))
        for count in (1, 2, 3):
            await account.until(partial(has_typed, count))
            assert await clock.until_sleeping() == [10]
            clock.advance(10)


@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 500}, {"kind": "lost"}, {"kind": "cut"}], ids=str)
async def test_a_failed_first_sentence_is_not_posted_again(
    account: Account, clock: ManualClock, fault: dict[str, object]
) -> None:
    """If the message with the first sentence fails, the next pieces post nothing, and the reply arrives silently."""
    await account.faults({"method": "sendMessage", "kind": "error", **fault})
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, ROOM))
        for piece in (BEGINNING, "the second. ", "And the third. "):
            claim = await shown_so_far(delivery, claim, piece)
        assert (claim.handle, calls(await account.journal(), "sendMessage")) == ("", 1)
        await in_time(clock, deliver(delivery, claim))
    journal = await account.journal()
    assert texts(journal, ROOM)[-1] == "the answer"
    assert [entry["text"] for entry in sends(journal)][-1] == "…"


async def test_a_refused_first_sentence_does_not_cost_the_reply(account: Account, clock: ManualClock) -> None:
    """If Telegram refuses the first sentence, a silent placeholder is posted in its place."""
    await account.faults({"method": "sendMessage", "kind": "error", "status": 400, "description": "Bad Request: no"})
    async with opened(account, clock) as delivery:
        await deliver(delivery, await asked(account))
    journal = await account.journal()
    assert texts(journal) == ["the answer"]
    assert [entry["text"] for entry in sends(journal)] == ["…"]


async def test_a_busy_group_gets_its_messages_late(account: Account, clock: ManualClock) -> None:
    """A group at its rate limit gets its messages with the replies, and the model is not delayed."""
    async with opened(account, clock) as delivery:
        claims = [await begun(delivery, await asked(account, ROOM, turn=number + 1)) for number in range(6)]
        claims = [await shown_so_far(delivery, claim, BEGINNING) for claim in claims]
        assert [bool(claim.handle) for claim in claims].count(True) in {1, 2, 3}
        assert not claims[-1].handle
        for claim in claims:
            await in_time(clock, deliver(delivery, claim))
    assert texts(await account.journal(), ROOM) == ["the answer"] * 6


async def test_a_busy_group_costs_no_time(account: Account, clock: ManualClock) -> None:
    """While a group's rate limit is reached, the pieces of an answer are not laid out: nothing could be shown."""
    async with opened(account, clock) as delivery:
        for number in range(3):
            claim = await begun(delivery, await asked(account, ROOM, turn=number + 1))
            await shown_so_far(delivery, claim, BEGINNING)
        claim = await begun(delivery, await asked(account, ROOM, turn=9))
        with cProfile.Profile() as profile:
            for _ in range(10):
                claim = await shown_so_far(delivery, claim, BEGINNING)
        called = [entry.code for entry in profile.getstats()]
        assert claim.handle == ""
        assert TelegramDelivery.preview.__code__ in called
        assert from_markdown.__code__ not in called


@pytest.mark.parametrize("why", ["bot was blocked by the user", "user is deactivated"])
async def test_a_person_who_blocks_the_bot_ends_the_turn(account: Account, clock: ManualClock, why: str) -> None:
    """A person who blocks the bot, before or after the placeholder, ends the turn after one call."""
    async with opened(account, clock) as delivery:
        late = await placed(delivery, await asked(account))
        early = await asked(account, turn=2)
        await account.block(ANN, why)
        await delivery.finish(late, REPLY)
        assert calls(await account.journal(), "editMessageText") == 1
        early = await begun(delivery, early)
        assert await placed(delivery, early) == early
        assert early.handle == ""
    assert texts(await account.journal()) == ["the answer …"]


async def test_a_chat_that_is_gone_ends_the_turn(account: Account, clock: ManualClock) -> None:
    """A chat that is not found ends the turn without a repeated call."""
    async with opened(account, clock) as delivery:
        claim = await asked(account)
        nowhere = replace(claim.message, conversation=replace(claim.message.conversation, chat="404"))
        await deliver(delivery, replace(claim, message=nowhere))
    assert calls(await account.journal(), "sendMessage") <= 2


async def test_a_deleted_placeholder_is_replaced(account: Account, clock: ManualClock) -> None:
    """If a person deletes the placeholder, the reply is posted in one new message."""
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, ROOM))
        claim = await shown_so_far(delivery, claim, BEGINNING)
        (placeholder,) = shown(await account.journal())
        await account.delete(ROOM, placeholder["message"])
        await account.faults({"method": "editMessageText", "kind": "lost", "skip": 1})
        claim = await in_time(clock, placed(delivery, claim))
        with pytest.raises(DeliveryFailed):
            await in_time(clock, delivery.finish(claim, REPLY))
        await in_time(clock, deliver(delivery, claim))
    deleted, answer = texts(await account.journal(), ROOM)
    assert (deleted, answer) == ("This is the first sentence. …", "the answer")


async def test_a_placeholder_that_is_deleted_again_is_not_replaced_again(account: Account, clock: ManualClock) -> None:
    """A chat that refuses all edits gets at most two placeholders, and the turn ends."""
    await account.faults(
        {"method": "editMessageText", "kind": "error", "status": 400, "times": 99, "description": GONE}
    )
    async with opened(account, clock) as delivery:
        await in_time(clock, deliver(delivery, await asked(account)))
    assert texts(await account.journal()) == ["the answer …", "the answer …"]


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_reply_follows_an_upgraded_group(account: Account, clock: ManualClock, is_restarted: bool) -> None:  # noqa: FBT001
    """If the group becomes a supergroup meanwhile, the reply is posted there, by this process or the next."""
    async with opened(account, clock) as delivery:
        claim = await begun(delivery, await asked(account, ROOM))
        claim = await shown_so_far(delivery, claim, BEGINNING)
        await account.migrate(ROOM, -1001)
        if not is_restarted:
            await account.faults({"method": "editMessageText", "kind": "lost", "skip": 1})
            claim = await in_time(clock, placed(delivery, claim))
            with pytest.raises(DeliveryFailed):
                await in_time(clock, deliver(delivery, claim))
            await in_time(clock, deliver(delivery, claim))
    if is_restarted:
        async with opened(account, clock) as another:
            await deliver(another, claim)
    journal = await account.journal()
    assert texts(journal, -1001) == ["the answer"]
    assert {entry["reply_to"] for entry in shown(journal, -1001)} == {0}  # its numbers are other messages' there


async def test_parts_are_posted_once_each(account: Account, clock: ManualClock) -> None:
    """A reply of three parts leaves one placeholder for each send whose response was lost."""
    async with opened(account, clock) as delivery:
        claim = await placed(delivery, await asked(account), LONG)
        await account.faults({"method": "sendMessage", "kind": "lost"})
        with pytest.raises(DeliveryFailed):
            await in_time(clock, placed(delivery, claim, LONG))
        for _ in range(PARTS - 1):
            claim = await in_time(clock, placed(delivery, claim, LONG))
        assert len(claim.handle.split(",")) == PARTS
        await account.faults({"method": "editMessageText", "kind": "lost", "skip": 1})
        with pytest.raises(DeliveryFailed):
            await in_time(clock, delivery.finish(claim, LONG))
        await in_time(clock, delivery.finish(claim, LONG))
    found = texts(await account.journal())
    assert found.count("…") == 1
    assert "\n".join(text for text in found if text != "…") == LONG.text


@pytest.mark.parametrize("chat", [ANN, ROOM])
async def test_each_part_is_known_before_the_next_is_posted(account: Account, clock: ManualClock, chat: int) -> None:
    """With a new process at every step, each posts one message and edits those before it."""
    claim = await asked(account, chat)
    for posted in range(PARTS + 1):
        assert calls(await account.journal(), "sendMessage") == posted
        async with opened(account, clock) as delivery:
            claim = await in_time(clock, placed(delivery, claim, LONG))
    assert "\n".join(texts(await account.journal(), chat)) == LONG.text
    assert calls(await account.journal(), "sendMessage") == PARTS


async def test_parts_known_by_their_handle_are_edited_after_a_crash(account: Account, clock: ManualClock) -> None:
    """Another process edits the same messages, since the handle names all parts."""
    async with opened(account, clock) as delivery:
        claim = await in_time(clock, deliver(delivery, await asked(account), LONG))
    async with opened(account, clock) as another:
        await in_time(clock, _finish_in_the_end(another, claim, clock))
    journal = await account.journal()
    assert "\n".join(texts(journal)) == LONG.text
    assert [entry["silent"] for entry in sends(journal)] == [False] + [True] * (PARTS - 1)


async def _finish_in_the_end(delivery: Delivery, claim: Claim, clock: ManualClock) -> str:
    """Like the worker, try again after a rate limit: a new process does not know what the one before has spent."""
    while True:
        try:
            return await delivery.finish(claim, LONG)
        except RateLimited as error:
            await clock.sleep(error.retry_after)


async def test_hostile_text_arrives_as_it_is(account: Account, clock: ManualClock) -> None:
    """Half-open markup of every kind arrives unchanged, notifies no one and previews no link."""
    nasty = "_*[x](tg://user?id=1)`~>#+-=|{}.! <b>&amp; **x ``` @all <!channel> https://evil.example/?q=1"
    async with opened(account, clock) as delivery:
        await deliver(delivery, await asked(account, ROOM), replace(REPLY, text=nasty))
    entry = shown(await account.journal())[-1]
    assert entry["text"] == nasty.replace("@all", "@\u2060all")
    assert (entry["entities"], entry["parse_mode"], entry["preview"]) == ([], "", False)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_text_that_telegram_refuses_is_shown_plainly(account: Account, clock: ManualClock, times: int) -> None:
    """A refused text is shown once more without formatting, and after that an apology: no placeholder stays."""
    why = "Bad Request: ENTITY_BOUNDS_INVALID"
    await account.faults(
        {"method": "editMessageText", "kind": "error", "status": 400, "times": times, "description": why}
    )
    async with opened(account, clock) as delivery:
        await deliver(delivery, await asked(account), replace(REPLY, text="so **bold**\n```\nx\n```"))
    entry = shown(await account.journal())[-1]
    assert entry["text"] == ("so bold\nx" if times == 1 else say("en", "apology.unexpected"))
    assert entry["entities"] == []
    assert entry["buttons"]


async def test_code_keeps_its_indentation_in_the_next_message(account: Account, clock: ManualClock) -> None:
    """Each message of a long code block is a code block whose first line is indented as it was."""
    lines = ["def f(x):", *(f"    x += {number}  # a line of the code" for number in range(150))]
    reply = replace(REPLY, text="```python\n" + "\n".join(lines) + "\n```")
    async with opened(account, clock) as delivery:
        await in_time(clock, deliver(delivery, await asked(account), reply))
    entries = {entry["message"]: entry for entry in shown(await account.journal())}.values()
    assert "\n".join(entry["text"] for entry in entries) == "\n".join(lines)
    for entry in entries:
        assert [(code["type"], code["offset"], code["length"]) for code in entry["entities"]] == [
            ("pre", 0, len(entry["text"]))
        ]


async def test_code_in_a_group_is_unchanged(account: Account, clock: ManualClock) -> None:
    """Names in code of an answer in a group stay as they are; those in words notify no one."""
    reply = replace(REPLY, text="```python\n@dataclass\nclass A:\n    x: int\n```\nRun `npm i @types/node`, @all.")
    async with opened(account, clock) as delivery:
        await deliver(delivery, await asked(account, ROOM), reply)
    text = shown(await account.journal())[-1]["text"]
    assert text == "@dataclass\nclass A:\n    x: int\nRun npm i @types/node, @\u2060all."


async def test_only_a_model_writes_markdown(account: Account, clock: ManualClock) -> None:
    """A command's text is shown unchanged; Markdown of the model is formatted."""
    text = '{"text": "use `x` and **y**"}'
    async with opened(account, clock) as delivery:
        await deliver(delivery, await asked(account), Reply(text=text, source=Source.COMMAND))
        await deliver(delivery, await asked(account, turn=2), Reply(text="use `x`", source=Source.CACHE))
    command, model = (entry for entry in shown(await account.journal()) if entry["do"] == "edit")
    assert (command["text"], command["entities"]) == (text, [])
    assert (model["text"], [entity["type"] for entity in model["entities"]]) == ("use x", ["code"])


@pytest.mark.parametrize(("show", "text"), [(True, "the answer 😊"), (False, "the answer")])
async def test_a_mood_is_shown_if_wanted(account: Account, clock: ManualClock, show: bool, text: str) -> None:  # noqa: FBT001
    """The mood is one emoji at the end, for people who want to see it."""
    reply = replace(REPLY, mood=Mood(label=Label.POSITIVE, confidence=0.9), show_mood=show)
    async with opened(account, clock) as delivery:
        await deliver(delivery, await asked(account), reply)
    assert texts(await account.journal()) == [text]


@pytest.mark.parametrize("size", [LIMIT - 3, LIMIT - 2, LIMIT, 2 * LIMIT])
@pytest.mark.parametrize("markdown", ["{}", "```\n{}\n```"])
async def test_a_mood_ends_the_last_part(account: Account, clock: ManualClock, markdown: str, size: int) -> None:
    """The mood is never a message of its own, and no part is over the limit with it."""
    text = markdown.format("x" * size)
    reply = replace(REPLY, text=text, mood=Mood(label=Label.POSITIVE, confidence=0.9), show_mood=True)
    async with opened(account, clock) as delivery:
        await in_time(clock, deliver(delivery, await asked(account), reply))
    parts = list({entry["message"]: entry["text"] for entry in shown(await account.journal())}.values())
    assert all(units(part) <= LIMIT for part in parts)
    assert [part.rstrip(" \n😊").strip("x") for part in parts] == [""] * len(parts)
    assert ["😊" in part for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts[-1]) > len("\n😊")
