"""A message that comes in several events is one turn."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from core.accepting import Accepted, Duplicate, Ignored, Refused
from core.admission import Admission
from core.amending import JOINABLE
from core.clock import ManualClock
from core.delivery import Claim
from core.errors import MessageChanged
from core.gathering import GATHERING
from core.limits import Limits
from core.messages import Media, Message, Quote, Relation, Reply, Source, Ties
from core.store import Store, events, history, schema, turns
from core.store.history import Keeping
from core.store.states import WAITING
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.core.test_admission import GENEROUS, Idle, count_turns
from tests.options import limits_with

FRONTS = ["test/w"]
KEEPING = Keeping(max_tokens=100, shared=False)
ALBUM = Ties(joins=("album",), opens=("album",), waits=True)
COMMENT = Ties(opens=("words",))
FORWARD = Ties(joins=("words",), opens=("forward",), waits=True)
NEWS = Quote(relation=Relation.FORWARDED, text="news")


def door(store: Store, clock: ManualClock, limits: Limits = GENEROUS, workforce: Idle | None = None) -> Admission:
    return Admission(store, clock, limits, workforce or Idle())


def piece(write: Write, text: str = "", ties: Ties = ALBUM, **facts: Any) -> Message:  # noqa: ANN401  fields of a message
    message = write(text)
    return replace(message, ties=ties, reference=message.event_keys[0], **facts)


def lease(clock: ManualClock) -> Lease:
    return Lease(owner="me", now=clock.now(), until=clock.now() + 10)


async def claim(store: Store, clock: ManualClock) -> Claim | None:
    return await store.run(turns.claim_waiting, lease(clock), FRONTS)


async def begun(store: Store, clock: ManualClock) -> Claim:
    """The claim of the next turn, once it no longer waits for more."""
    clock.advance(GATHERING)
    found = await claim(store, clock)
    assert found is not None
    return found


async def answered(store: Store, clock: ManualClock, text: str = "hi") -> Claim:
    """The claim of a turn that has been answered and delivered."""
    found = await begun(store, clock)
    reply = Reply(text=text, source=Source.MODEL, tokens=20)
    await store.run(turns.set_handle, found, "me", f"shown {text}")
    assert await store.run(turns.finish, found, "me", reply, clock.now(), KEEPING)
    assert await store.run(turns.mark_delivered, found, "me")
    return found


async def test_the_pieces_of_a_message_are_one_turn(store: Store, clock: ManualClock, write: Write) -> None:
    """The words of all pieces, their quotes and their media make one message."""
    admission = door(store, clock)
    await admission.accept(piece(write, media=(Media.PICTURE,)))
    await admission.accept(piece(write, "Which is", media=(Media.PICTURE, Media.VIDEO)))
    await admission.accept(piece(write, " better?\x00", quotes=(NEWS,)))
    found = await begun(store, clock)
    assert found.message.text == "Which is\nbetter?"
    assert found.message.media == (Media.PICTURE, Media.VIDEO)
    assert found.message.quotes == (NEWS,)
    assert await count_turns(store) == 1


async def test_a_message_waits_a_second_for_the_rest(store: Store, clock: ManualClock, write: Write) -> None:
    """A turn of which more may come is claimed a second after its first piece, however many come; others at once."""
    admission = door(store, clock)
    await admission.accept(piece(write, "one"))
    clock.advance(GATHERING * 0.9)
    await admission.accept(piece(write, "two"))
    assert await claim(store, clock) is None
    assert await store.run(turns.next_due, WAITING, clock.now(), FRONTS) == pytest.approx(clock.now() + GATHERING * 0.1)
    clock.advance(GATHERING * 0.1)
    assert await claim(store, clock) is not None
    await admission.accept(write("at once", who="bob"))
    assert await claim(store, clock) is not None
    assert await store.run(turns.next_due, WAITING, clock.now(), FRONTS) is None


@pytest.mark.parametrize(
    "change",
    [
        {"ties": replace(ALBUM, joins=("another album",))},
        {"chat": "another"},
        {"who": "bob"},
        {"late": JOINABLE + 1},
    ],
)
async def test_only_pieces_of_the_same_message_join(
    store: Store, clock: ManualClock, write: Write, change: dict[str, object]
) -> None:
    """A piece joins what the same person has just sent in the same conversation, by the same name."""
    admission = door(store, clock)
    await admission.accept(replace(write("one", chat="c"), ties=ALBUM))
    clock.advance(float(str(change.get("late", 0))))
    other = write("two", who=str(change.get("who", "ann")), chat=str(change.get("chat", "c")))
    ties = change.get("ties", ALBUM)
    assert isinstance(ties, Ties)
    await admission.accept(replace(other, ties=ties))
    assert await count_turns(store) == 2


async def test_a_piece_that_comes_again_joins_once(store: Store, clock: ManualClock, write: Write) -> None:
    """A piece has event keys of its own, by which it is a duplicate."""
    admission = door(store, clock)
    await admission.accept(piece(write, "one"))
    second = piece(write, "two")
    assert isinstance(await admission.accept(second), Accepted)
    assert isinstance(await admission.accept(second), Duplicate)
    assert (await begun(store, clock)).message.text == "one\ntwo"


async def test_a_gathered_message_counts_once(store: Store, clock: ManualClock, write: Write) -> None:
    """The pieces of a message are one message for the rate limit and for the queue."""
    limits = limits_with(per_minute=1, burst=2, max_queued=2, allow=GENEROUS.allow)
    admission = door(store, clock, limits)
    for _ in range(5):
        assert isinstance(await admission.accept(piece(write, "w")), Accepted)
    assert isinstance(await admission.accept(write("another")), Accepted)
    assert isinstance(await admission.accept(write("a third")), Refused)


@pytest.mark.parametrize("begins", [False, True])
async def test_a_message_that_grows_too_long_is_refused_once(
    store: Store, clock: ManualClock, write: Write, *, begins: bool
) -> None:
    """Pieces that are too long together get one refusal, also if the answer has begun, and no word is kept."""
    admission = door(store, clock, replace(GENEROUS, max_bytes=10))
    await admission.accept(piece(write, "x" * 6))
    turn = await begun(store, clock) if begins else None
    for _ in range(3):
        await admission.accept(piece(write, "x" * 6))
    if turn:
        await reopened(store, turn, clock)
    refused = await store.run(turns.claim_answered, lease(clock), FRONTS)
    assert refused is not None
    assert refused.reply is not None
    assert "13 bytes" in refused.reply.text
    kept = sa.select(schema.turns.c.text, schema.turns.c.pieces)
    assert (await store.run(lambda c: c.execute(kept).all())) == [("", ())]


async def test_the_rest_of_a_refused_message_is_refused_with_it(store: Store, clock: ManualClock, write: Write) -> None:
    """If the first piece was refused, the others get neither an answer nor a notice of their own."""
    admission = door(store, clock, replace(GENEROUS, max_bytes=10))
    await admission.accept(piece(write, "x" * 11))
    assert isinstance(await admission.accept(piece(write, "short")), Accepted)
    assert await count_turns(store) == 1
    clock.advance(GATHERING)
    assert await claim(store, clock) is None


async def reopened(store: Store, turn: Claim, clock: ManualClock) -> None:
    """What the worker does with a turn whose message has changed."""
    stopped = Reply(text="Stopped.", source=Source.MODEL)
    with pytest.raises(MessageChanged):
        await store.run(turns.finish, turn, "me", stopped, clock.now(), KEEPING)
    await store.run(turns.reopen, turn, "me")


async def test_a_late_piece_begins_the_answer_anew(store: Store, clock: ManualClock, write: Write) -> None:
    """A forward joins its comment, which is being answered already: that is stopped, and the whole answered."""
    workforce = Idle()
    admission = door(store, clock, workforce=workforce)
    await admission.accept(piece(write, "What is this?", COMMENT))
    first = await claim(store, clock)
    assert first is not None
    await store.run(turns.set_handle, first, "me", "placeholder")
    await admission.accept(piece(write, ties=FORWARD, quotes=(NEWS,)))
    assert workforce.interrupted == [first.id]
    assert await claim(store, clock) is None
    await reopened(store, first, clock)
    again = await begun(store, clock)
    assert (again.id, again.attempt, again.handle) == (first.id, 1, "placeholder")
    assert (again.message.text, again.message.quotes) == ("What is this?", (NEWS,))
    assert await store.run(turns.finish, again, "me", Reply(text="x", source=Source.MODEL), clock.now(), KEEPING)


async def test_a_crash_after_a_late_piece_loses_nothing(store: Store, clock: ManualClock, write: Write) -> None:
    """If the process dies before it has stopped the answer, the next one answers the whole message."""
    admission = door(store, clock)
    await admission.accept(piece(write, "What is this?", COMMENT))
    await claim(store, clock)
    await admission.accept(piece(write, ties=FORWARD, quotes=(NEWS,)))
    await store.run(turns.disown, "test")
    heir = Lease(owner="heir", now=clock.now() + GATHERING, until=clock.now() + 10)
    again = await store.run(turns.claim_waiting, heir, FRONTS)
    assert again is not None
    assert again.message.quotes == (NEWS,)
    assert await store.run(turns.finish, again, "heir", Reply(text="x", source=Source.MODEL), clock.now(), KEEPING)


async def test_a_piece_after_the_answer_is_answered_once(store: Store, clock: ManualClock, write: Write) -> None:
    """The answer is replaced in its place if one more piece comes, and stays as it is if yet another one does."""
    admission = door(store, clock)
    first = piece(write, "What is this?", replace(COMMENT, opens=("words", "forward")))
    await admission.accept(first)
    await answered(store, clock, "old")
    await admission.accept(piece(write, ties=FORWARD, quotes=(NEWS,)))
    assert await store.run(history.load, first.conversation, first.sender) == ()
    again = await answered(store, clock, "new")
    assert (again.handle, again.attempt) == ("shown old", 1)
    assert len(await store.run(history.load, first.conversation, first.sender)) == 1
    more = replace(FORWARD, joins=("forward",))
    await admission.accept(piece(write, ties=more, quotes=(replace(NEWS, text="more"),)))
    clock.advance(GATHERING)
    assert await claim(store, clock) is None


async def test_a_message_answered_anew_waits_for_the_running_one(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A late piece does not make two turns of a conversation run at once."""
    admission = door(store, clock)
    await admission.accept(piece(write, "What is this?", COMMENT))
    await answered(store, clock)
    await admission.accept(write("And now?"))
    running = await claim(store, clock)
    assert running is not None
    await admission.accept(piece(write, ties=FORWARD, quotes=(NEWS,)))
    clock.advance(GATHERING)
    assert await claim(store, clock) is None
    await store.run(turns.finish, running, "me", Reply(text="hi", source=Source.MODEL), clock.now(), KEEPING)
    await store.run(turns.mark_delivered, running, "me")
    again = await claim(store, clock)
    assert again is not None
    assert again.message.quotes == (NEWS,)


async def test_events_know_their_turn(store: Store, clock: ManualClock, write: Write) -> None:
    """The keys of each piece lead to the turn of the whole message."""
    admission = door(store, clock)
    pieces = [piece(write, "one"), piece(write, "two")]
    outcomes = [await admission.accept(each) for each in pieces]
    keys = sa.select(schema.events.c.turn_id)
    found = await store.run(lambda connection: set(connection.scalars(keys)))
    assert [outcome.turn_id for outcome in outcomes if isinstance(outcome, Accepted)] == [*found, *found]


async def test_a_piece_while_the_answer_is_delivered_is_answered_next(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """An answer that is being shown is replaced once it is shown."""
    admission = door(store, clock)
    await admission.accept(piece(write, "What is this?", COMMENT))
    turn = await begun(store, clock)
    await store.run(turns.finish, turn, "me", Reply(text="old", source=Source.MODEL), clock.now(), KEEPING)
    await admission.accept(piece(write, ties=FORWARD, quotes=(NEWS,)))
    with pytest.raises(MessageChanged):
        await store.run(turns.mark_delivered, turn, "me")
    await store.run(turns.reopen, turn, "me")
    again = await begun(store, clock)
    assert (again.message.quotes, again.reply) == ((NEWS,), None)


async def test_a_piece_that_says_nothing_new_changes_nothing(store: Store, clock: ManualClock, write: Write) -> None:
    """One more picture of an album does not begin the answer anew."""
    workforce = Idle()
    admission = door(store, clock, workforce=workforce)
    await admission.accept(piece(write, "Which?", media=(Media.PICTURE,)))
    turn = await begun(store, clock)
    await admission.accept(piece(write, media=(Media.PICTURE,)))
    assert workforce.interrupted == []
    assert await store.run(turns.finish, turn, "me", Reply(text="x", source=Source.MODEL), clock.now(), KEEPING)


async def test_an_overheard_message_is_kept_only_as_a_piece(store: Store, clock: ManualClock, write: Write) -> None:
    """What is not addressed to the bot joins what is, and leaves no trace if there is nothing to join."""
    admission = door(store, clock)
    early = piece(write, "the first picture")
    assert isinstance(await admission.overhear(early), Ignored)
    await admission.accept(piece(write, "Which is better?"))
    assert isinstance(await admission.overhear(piece(write, "or this?")), Accepted)
    assert (await begun(store, clock)).message.text == "Which is better?\nor this?"
    seen = await store.run(lambda c: c.scalar(sa.select(sa.func.count()).select_from(schema.events)))
    assert seen == 2


async def test_the_language_of_the_whole_message_counts(store: Store, clock: ManualClock, write: Write) -> None:
    """The bot's own words for an album are in the language of its caption, wherever that stands."""
    admission = door(store, clock)
    await admission.accept(piece(write, media=(Media.PICTURE,)))
    await admission.accept(piece(write, "哪一张更好看呢？"))
    assert (await begun(store, clock)).locale == "zh"


async def test_a_deleted_turn_leaves_its_event_keys(store: Store, clock: ManualClock, write: Write) -> None:
    """After /forget a message that is delivered again is still a duplicate."""
    admission = door(store, clock)
    message = write("hello")
    await admission.accept(message)
    await store.run(lambda c: c.execute(schema.turns.delete()))
    assert isinstance(await admission.accept(message), Duplicate)
    assert not await store.run(events.remember, message.event_keys, clock.now())
