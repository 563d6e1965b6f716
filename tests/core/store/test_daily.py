"""What happened in a span is counted from turns, votes and hand-offs."""

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.daily import Tally
from core.messages import WITHDRAWN, ConversationKey, Finish, Label, Mood, Reply, Source, Usage
from core.store import Store, amendments, daily, handoffs, people, records, turns, votes
from core.store.schema import turns as table
from core.store.turns import Took
from tests.core.conftest import Write
from tests.core.store.asking import ANSWER, ask

DESK = ConversationKey(platform="test", workspace="w", chat="desk")


async def counted(store: Store, clock: ManualClock, seconds: float = 3_600) -> Tally:
    return await store.read(daily.tally, clock.now() - seconds, clock.now() + 1)


async def test_nothing_is_counted_in_an_empty_store(store: Store, clock: ManualClock) -> None:
    """Before the first message the tally is the one of nothing."""
    assert await counted(store, clock) == Tally()


async def test_replies_are_counted_by_source_and_mood(store: Store, clock: ManualClock, write: Write) -> None:
    """Refusals and commands are messages too, and so is one that waits; only answers have a wait."""
    glad = Mood(label=Label.POSITIVE, confidence=0.9)
    await ask(store, clock, write("one"), Reply(text="-", source=Source.MODEL, mood=glad))
    await ask(store, clock, write("two"), Reply(text="-", source=Source.CACHE))
    await ask(store, clock, write("three"), Reply(text="-", source=Source.REFUSAL, error="not_known"))
    await ask(store, clock, write("/stats"), Reply(text="-", source=Source.COMMAND))
    await ask(store, clock, write("four"), Reply(text="-", source=Source.MODEL, finish=Finish.TIMEOUT))
    await ask(store, clock, write("five"), None)
    found = await counted(store, clock)
    assert found.messages == 6
    assert found.replies == {Source.MODEL: 2, Source.CACHE: 1, Source.REFUSAL: 1, Source.COMMAND: 1}
    assert (found.moods, [*found.waits]) == ({Label.POSITIVE: 1}, [2.0, 2.0])


async def test_a_span_ends_before_the_next_one_begins(store: Store, clock: ManualClock, write: Write) -> None:
    """A message at the very boundary of two spans is counted in the later one only."""
    boundary = clock.now()
    await ask(store, clock, write("one"))
    assert (await store.read(daily.tally, boundary - 60, boundary)).messages == 0
    assert (await store.read(daily.tally, boundary, boundary + 60)).messages == 1


async def test_speed_needs_a_duration_and_tokens(store: Store, clock: ManualClock, write: Write) -> None:
    """Replies of before durations were kept, and those without a count of tokens, change nothing about the speed."""
    counting = Reply(text="-", source=Source.MODEL, usage=Usage(completion_tokens=30))
    await ask(store, clock, write("one"), counting, took=Took(seconds=2.0, first_piece=0.5))
    await ask(store, clock, write("two"), counting)
    await ask(store, clock, write("three"), took=Took(seconds=2.0))
    found = await counted(store, clock)
    assert (found.tokens, found.seconds, [*found.first_pieces]) == (30, 2.0, [0.5])


async def test_first_words_are_the_models(store: Store, clock: ManualClock, write: Write) -> None:
    """What the cache says at once would hide how long the model takes."""
    await ask(store, clock, write("one"), Reply(text="-", source=Source.CACHE), took=Took(seconds=0.0, first_piece=0.0))
    assert [*(await counted(store, clock)).first_pieces] == []


async def test_thumbs_count_on_the_day_of_the_message(store: Store, clock: ManualClock, write: Write) -> None:
    """A vote of a week later belongs to the message, and people who vote alike are counted each."""
    asked_at, turn_id = clock.now(), await ask(store, clock, write("one"))
    clock.advance(7 * 86_400)
    for who, vote in (("ann", 1), ("bob", 1), ("eve", -1)):
        await store.run(votes.cast, turn_id, write("", who=who).sender, vote, clock.now())
    found = await store.read(daily.tally, asked_at, asked_at + 1)
    assert (found.messages, found.up, found.down) == (1, 2, 1)
    assert (await counted(store, clock)).up == 0


async def test_words_of_a_hand_off_are_no_messages(store: Store, clock: ManualClock, write: Write) -> None:
    """The hand-off is counted, and what is shown at the desk or said from there is not."""
    ann = await store.run(people.find_or_add, write("").sender)
    row = await store.run(handoffs.add, ann.id, write("help"), "en", DESK, now=clock.now(), due=clock.now())
    said = Reply(text="words", source=Source.PERSON)
    for front in ("test/w", ""):
        await store.run(turns.add, ann.id, write("words"), "en", clock.now(), said, handoff_id=row.id, desk_front=front)
    found = await counted(store, clock)
    assert (found.messages, found.replies, found.handoffs) == (0, {}, 1)


async def test_what_the_bot_says_unasked_is_no_message(store: Store, clock: ManualClock, write: Write) -> None:
    """The offer of a person is a turn without words of a person; a picture without words, which waits, is a message."""
    await ask(store, clock, write(""), Reply(text="shall I ask a person?", source=Source.COMMAND))
    assert (await counted(store, clock)).messages == 0
    await ask(store, clock, write(""), None)
    assert (await counted(store, clock)).messages == 1


async def test_withdrawn_messages_are_not_counted(store: Store, clock: ManualClock, write: Write) -> None:
    """Not even while their answer is still to be deleted from the chat."""
    turn_id = await ask(store, clock, write("one"))

    def withdraw(connection: sa.Connection) -> None:
        row = amendments.find(connection, turn_id)
        assert row
        amendments.amend(connection, row, {"text": ""}, clock.now(), WITHDRAWN)

    await store.run(withdraw)
    assert await counted(store, clock) == Tally()


async def test_an_answer_to_an_edited_message_has_no_wait(store: Store, clock: ManualClock, write: Write) -> None:
    """The time between the message and its edit would count as waiting."""
    turn_id = await ask(store, clock, write("one"))
    revised = table.update().where(table.c.id == turn_id).values(revised=True, finished_at=clock.now() + 3_000)
    await store.run(lambda connection: connection.execute(revised).rowcount)
    found = await counted(store, clock)
    assert (found.replies, [*found.waits]) == ({Source.MODEL: 1}, [])


@pytest.mark.parametrize("leaves_turn", [False, True])
async def test_the_forgotten_are_not_counted(
    store: Store, clock: ManualClock, write: Write, *, leaves_turn: bool
) -> None:
    """Neither what is deleted at once nor a turn that stays until it is delivered."""
    await ask(store, clock, write("one"), None if leaves_turn else ANSWER)
    await store.run(records.forget, write("").sender, 0)
    assert (await counted(store, clock)).messages == 0
