from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.delivery import Claim
from core.messages import Finish, Label, Message, Mood, Reply, Source, Usage
from core.store import Store, backlog, history, people, turns
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write

FRONTS = ["test/w"]
LEASE = 10.0
REPLY = Reply(
    text="hi",
    source=Source.MODEL,
    finish=Finish.LENGTH,
    usage=Usage(prompt_tokens=5, completion_tokens=2, cached_tokens=3),
    tokens=20,
    mood=Mood(label=Label.POSITIVE, confidence=0.5),
    show_mood=False,
    cites="From: Hours",
    error="",
)


async def add(store: Store, clock: ManualClock, message: Message) -> int:
    person = await store.run(people.find_or_add, message.sender)
    return await store.run(turns.add, person.id, message, "en", clock.now())


async def claim(store: Store, clock: ManualClock, owner: str = "me") -> Claim | None:
    lease = Lease(owner=owner, now=clock.now(), until=clock.now() + LEASE)
    return await store.run(turns.claim_waiting, lease, FRONTS)


async def claim_answered(store: Store, clock: ManualClock, owner: str = "me") -> Claim | None:
    lease = Lease(owner=owner, now=clock.now(), until=clock.now() + LEASE)
    return await store.run(turns.claim_answered, lease, FRONTS)


async def finish(store: Store, clock: ManualClock, turn: Claim, owner: str = "me", tokens: int = 20) -> bool:
    reply = Reply(text="hi", source=Source.MODEL, tokens=tokens)
    return await store.run(turns.finish, turn, owner, reply, clock.now(), Keeping(max_tokens=100, shared=False))


async def served(store: Store, clock: ManualClock) -> str:
    """Claim the next turn, answer and deliver it, and return its text."""
    turn = await claim(store, clock)
    assert turn is not None
    await finish(store, clock, turn)
    await store.run(turns.mark_delivered, turn, "me")
    return turn.message.text


async def test_people_are_served_round_robin(store: Store, clock: ManualClock, write: Write) -> None:
    """Turns are claimed round-robin: one message of each other person comes between two of the same person."""
    for text in ("a1", "a2", "a3"):
        await add(store, clock, write(text, who="ann"))
    await add(store, clock, write("b1", who="bob"))
    await add(store, clock, write("c1", who="cid"))
    assert [await served(store, clock) for _ in range(5)] == ["a1", "b1", "c1", "a2", "a3"]


async def test_one_turn_of_a_conversation_at_a_time(store: Store, clock: ManualClock, write: Write) -> None:
    """A conversation's second turn is not claimed before its first is delivered, also if their authors differ."""
    await add(store, clock, write("first", who="ann", chat="shared"))
    await add(store, clock, write("second", who="bob", chat="shared"))
    first = await claim(store, clock)
    assert first is not None
    assert await claim(store, clock) is None
    await finish(store, clock, first)
    assert await claim(store, clock) is None
    await store.run(turns.mark_delivered, first, "me")
    second = await claim(store, clock)
    assert second is not None
    assert second.message.text == "second"


async def test_only_turns_of_the_given_front_ends_are_claimed(store: Store, clock: ManualClock, write: Write) -> None:
    """A gateway claims only turns of the front ends that it serves."""
    await add(store, clock, write("hello"))
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + LEASE)
    assert await store.run(turns.claim_waiting, lease, ["other/w"]) is None


async def test_turn_with_an_expired_lease_is_claimed_again(store: Store, clock: ManualClock, write: Write) -> None:
    """When a lease expires, another gateway claims the turn as its second attempt."""
    await add(store, clock, write("hello"))
    assert await claim(store, clock, "dead") is not None
    clock.advance(LEASE)
    assert await claim(store, clock, "heir") is None
    clock.advance(0.1)
    again = await claim(store, clock, "heir")
    assert again is not None
    assert again.attempt == 2


async def test_turn_of_a_crashed_process_runs_alone(store: Store, clock: ManualClock, write: Write) -> None:
    """A turn whose process crashed is claimed first and alone, because it may be the cause."""
    for who in ("ann", "bob", "cid"):
        await add(store, clock, write(who, who=who))
    await claim(store, clock, "dead")
    await claim(store, clock, "dead")
    clock.advance(LEASE + 1)
    first = await claim(store, clock)
    assert first is not None
    assert (first.message.text, first.attempt) == ("ann", 2)
    assert await claim(store, clock) is None
    await finish(store, clock, first)
    second = await claim(store, clock)
    assert second is not None
    assert (second.message.text, second.attempt) == ("bob", 2)
    await finish(store, clock, second)
    third = await claim(store, clock)
    assert third is not None
    assert (third.message.text, third.attempt) == ("cid", 1)


async def test_turn_of_a_crashed_process_waits_for_running_turns(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A turn whose process crashed waits for running turns to end, and new turns wait for it."""
    await add(store, clock, write("suspect", who="ann"))
    await claim(store, clock, "dead")
    await add(store, clock, write("running", who="bob"))
    running = await claim(store, clock)
    assert running is not None
    await add(store, clock, write("new", who="cid"))
    clock.advance(LEASE + 1)
    assert await claim(store, clock) is None
    await finish(store, clock, running)
    suspect = await claim(store, clock)
    assert suspect is not None
    assert suspect.message.text == "suspect"


async def test_renewed_lease_is_respected(store: Store, clock: ManualClock, write: Write) -> None:
    """A renewed lease keeps the turn from being claimed by another gateway."""
    await add(store, clock, write("hello"))
    await claim(store, clock, "alive")
    clock.advance(LEASE - 1)
    await store.run(turns.renew, Lease(owner="alive", now=clock.now(), until=clock.now() + LEASE))
    clock.advance(LEASE - 1)
    assert await claim(store, clock, "other") is None


async def test_owner_whose_lease_ran_out_does_not_take_its_own_turn_twice(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A gateway with an expired lease does not claim its own running turn a second time."""
    await add(store, clock, write("hello"))
    await claim(store, clock)
    clock.advance(LEASE * 3)
    assert await claim(store, clock) is None


async def test_claims_that_nobody_was_told_of_are_given_up(store: Store, clock: ManualClock, write: Write) -> None:
    """An owner gives up the leases that it does not hold, and an attempt that did not begin does not count."""
    for who in ("ann", "bob"):
        await add(store, clock, write(who, who=who))
    held, unknown = await claim(store, clock), await claim(store, clock)
    assert held
    assert unknown
    await store.run(turns.release_all_but, {held.id}, "me")
    again = await claim(store, clock)
    assert again
    assert (again.id, again.attempt) == (unknown.id, 1)
    assert await finish(store, clock, held)


async def test_gateway_that_lost_its_lease_cannot_answer(store: Store, clock: ManualClock, write: Write) -> None:
    """After another gateway has claimed a turn, the first owner's reply is rejected."""
    await add(store, clock, write("hello"))
    lost = await claim(store, clock, "slow")
    clock.advance(LEASE + 1)
    taken = await claim(store, clock, "heir")
    assert lost is not None
    assert taken is not None
    assert not await finish(store, clock, lost, "slow")
    assert await finish(store, clock, taken, "heir")


async def test_saved_reply_of_a_crashed_process_is_delivered_unchanged(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A saved but undelivered reply is claimed again, complete, with its placeholder's handle."""
    await add(store, clock, write("hello"))
    turn = await claim(store, clock, "dead")
    assert turn is not None
    await store.run(turns.set_handle, turn, "dead", "message 7")
    await store.run(turns.finish, turn, "dead", REPLY, clock.now(), Keeping(max_tokens=100, shared=False))
    assert await claim_answered(store, clock) is None
    clock.advance(LEASE + 1)
    found = await claim_answered(store, clock)
    assert found is not None
    assert found.reply == REPLY
    assert found.handle == "message 7"


async def test_released_turn_counts_no_attempt(store: Store, clock: ManualClock, write: Write) -> None:
    """A turn released at shutdown does not count as an attempt."""
    await add(store, clock, write("hello"))
    turn = await claim(store, clock, "first")
    assert turn is not None
    await store.run(turns.release, turn, "first")
    again = await claim(store, clock, "second")
    assert again is not None
    assert again.attempt == 1


async def test_postponed_reply_waits_for_its_delay(store: Store, clock: ManualClock, write: Write) -> None:
    """A reply that the platform postpones stays saved and is claimed again after the delay."""
    await add(store, clock, write("hello"))
    turn = await claim(store, clock)
    assert turn is not None
    await finish(store, clock, turn)
    await store.run(turns.release, turn, "me", clock.now() + 30)
    assert await claim_answered(store, clock) is None
    clock.advance(30)
    found = await claim_answered(store, clock)
    assert found is not None
    assert found.reply is not None


async def test_turns_of_others_and_dead_letters_are_not_unclaimed(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A turn is left to look for if it waits for a gateway, or its reply does, and not if one has it or none will."""
    assert not await store.run(turns.has_unclaimed, FRONTS)
    await add(store, clock, write("hello"))
    assert await store.run(turns.has_unclaimed, FRONTS)
    assert not await store.run(turns.has_unclaimed, ["elsewhere"])
    turn = await claim(store, clock, "other")
    assert turn is not None
    assert not await store.run(turns.has_unclaimed, FRONTS)
    await finish(store, clock, turn, "other")
    assert not await store.run(turns.has_unclaimed, FRONTS)
    await store.run(turns.release, turn, "other")
    assert await store.run(turns.has_unclaimed, FRONTS)
    assert await claim_answered(store, clock) is not None
    await store.run(turns.bury, turn, "me", fault="broken")
    assert not await store.run(turns.has_unclaimed, FRONTS)


async def test_history_drops_its_older_half_when_it_is_full(store: Store, clock: ManualClock, write: Write) -> None:
    """If six exchanges of 20 tokens exceed a budget of 100, the older three are dropped; the rest stay in order."""
    for number in range(6):
        await add(store, clock, write(f"m{number}"))
        turn = await claim(store, clock)
        assert turn is not None
        await finish(store, clock, turn)
        await store.run(turns.mark_delivered, turn, "me")
    message = write("next")
    kept = await store.run(history.load, message.conversation, message.sender)
    assert [exchange.question for exchange in kept] == ["m3", "m4", "m5"]


async def test_reply_without_tokens_is_not_remembered(store: Store, clock: ManualClock, write: Write) -> None:
    """A reply without tokens, such as a command's or an apology, is not part of the history."""
    message = write("/help")
    await add(store, clock, message)
    turn = await claim(store, clock)
    assert turn is not None
    await finish(store, clock, turn, tokens=0)
    assert await store.run(history.load, message.conversation, message.sender) == ()


@pytest.mark.parametrize("seconds", [0.001, 5.0])
async def test_a_clock_that_is_a_little_behind_claims_nothing_of_others(
    store: Store, clock: ManualClock, write: Write, seconds: float
) -> None:
    """Gateways' clocks differ, and one may have waited for a lock since it read its own: what another one leased, put
    off or holds back for the rest of an album in that time stays so.
    """
    await add(store, clock, write("running", who="ann"))
    await claim(store, clock, "other")
    await add(store, clock, write("put off", who="bob"))
    put_off = await claim(store, clock, "other")
    assert put_off is not None
    await store.run(turns.release, put_off, "other", clock.now() + 30)
    album = write("album", who="cid")
    person = await store.run(people.find_or_add, album.sender)
    await store.run(turns.add, person.id, album, "en", clock.now(), not_before=clock.now() + 1)
    clock.jump(-seconds)
    assert await claim(store, clock, "me") is None


async def test_disowned_turns_are_claimed_at_once(store: Store, clock: ManualClock, write: Write) -> None:
    """Disowned turns are claimed before their leases expire, and the former attempt counts."""
    await add(store, clock, write("running", who="ann"))
    await claim(store, clock, "dead")
    await add(store, clock, write("answered", who="bob"))
    answered = await claim(store, clock, "dead")
    assert answered is not None
    await finish(store, clock, answered, "dead")
    await store.run(turns.disown, "test")
    running = await claim(store, clock, "heir")
    written = await claim_answered(store, clock, "heir")
    assert running is not None
    assert running.attempt == 2
    assert written is not None
    assert written.message.text == "answered"


async def test_a_conversation_moves_with_all_that_was_said(store: Store, clock: ManualClock, write: Write) -> None:
    """A moved conversation keeps its history and its waiting turns under the new key; others are not moved."""
    done, waiting, foreign = (write(text, chat=chat) for text, chat in (("one", "old"), ("two", "old"), ("x", "other")))
    for message in (done, foreign):
        await add(store, clock, message)
        await served(store, clock)
    await add(store, clock, replace(waiting, reference="17"))
    there = replace(done.conversation, chat="new")
    for _ in range(2):
        await store.run(turns.move, done.conversation, there)
    kept = await store.run(history.load, there, done.sender)
    assert [exchange.question for exchange in kept] == ["one"]
    assert await store.run(history.load, done.conversation, done.sender) == ()
    assert len(await store.run(history.load, foreign.conversation, done.sender)) == 1
    claimed = await claim(store, clock)
    assert claimed is not None
    assert (claimed.message.conversation, claimed.message.reference) == (there, "")


async def test_closed_turns_are_not_scanned(sqlite_store: Store) -> None:
    """Queries that run per message or per poll read open turns by index, regardless of the number of closed ones."""
    lease = Lease(owner="me", now=1.0, until=2.0)
    asked: list[tuple[str, tuple[object, ...]]] = []

    def ask(connection: sa.Connection) -> list[str]:
        def note(_c: object, _cursor: object, statement: str, values: tuple[object, ...], *_: object) -> None:
            asked.append((statement, values))

        sa.event.listen(connection, "before_cursor_execute", note)
        turns.claim_waiting(connection, lease, FRONTS)
        turns.claim_answered(connection, lease, FRONTS)
        turns.renew(connection, lease)
        turns.disown(connection, "test")
        backlog.measure(connection, 1)
        sa.event.remove(connection, "before_cursor_execute", note)
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values).all() for said, values in asked]
        return [step.detail for plan in plans for step in plan]

    steps = await sqlite_store.run(ask)
    assert [step for step in steps if "turns_open" in step]
    newest_first = "SCAN turns USING INDEX turns_measured"  # the mean duration of the latest turns, which stops early
    assert [step for step in steps if step.startswith("SCAN turns") and "turns_open" not in step] == [newest_first]
