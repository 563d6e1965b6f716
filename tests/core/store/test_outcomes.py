from core.clock import ManualClock
from core.messages import ConversationKey, Finish, Reply, Source
from core.outcomes import Outcomes, Wait
from core.store import Store, handoffs, outcomes, people, records, votes
from core.store.schema import turns as table
from tests.core.conftest import Write
from tests.core.store.asking import ask

DESK = ConversationKey(platform="test", workspace="w", chat="desk")


async def measured(store: Store, clock: ManualClock, seconds: float = 3_600) -> Outcomes:
    return await store.read(outcomes.measure, clock.now() - seconds, clock.now() + 1)


async def test_an_empty_store_has_no_outcomes(store: Store, clock: ManualClock) -> None:
    """Before the first question all figures are 0, and nobody has waited."""
    found = await measured(store, clock)
    assert (found.cases, found.questions, found.gaps, found.first_answer) == (0, 0, 0, Wait(median=None, p90=None))


async def test_questions_are_told_from_commands_and_passed_words(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """Answers, refusals, apologies and waiting questions count; commands and words to a person do not."""
    await ask(store, clock, write("one"))
    await ask(store, clock, write("/stats"), Reply(text="-", source=Source.COMMAND))
    await ask(store, clock, write("two"), Reply(text="-", source=Source.REFUSAL, error="not_known"))
    await ask(store, clock, write("three"), Reply(text="-", source=Source.MODEL, finish=Finish.TIMEOUT))
    ann = await store.run(people.find_or_add, write("").sender)
    row = await store.run(handoffs.add, ann.id, write("help"), "en", DESK, now=clock.now(), due=clock.now())
    to_person = await ask(store, clock, write("to a person"))
    passed_on = table.update().where(table.c.id == to_person).values(handoff_id=row.id)
    await store.run(lambda c: c.execute(passed_on).rowcount)
    await ask(store, clock, write("four"), None)
    found = await measured(store, clock)
    assert (found.questions, found.answers[Source.MODEL], found.unanswered) == (4, 1, 3)
    assert (found.cases, found.handed_over, found.resolved) == (1, 1, 0)
    assert found.gaps == 2  # the refusal, and what failed before the person was asked
    assert found.first_answer == Wait(median=2.0, p90=2.0)


async def test_thumbs_of_several_people_count(store: Store, clock: ManualClock, write: Write) -> None:
    """Both votes on an answer are counted, for the source of the answer."""
    turn_id = await ask(store, clock, write("one"))
    for who, vote in (("ann", 1), ("bob", -1)):
        await store.run(votes.cast, turn_id, write("", who=who).sender, vote, clock.now())
    found = await measured(store, clock)
    assert (found.up[Source.MODEL], found.down[Source.MODEL], found.gaps) == (1, 1, 1)


async def test_the_past_is_read_for_what_is_reopened(store: Store, clock: ManualClock, write: Write) -> None:
    """A case is reopened by a question days later, though the first one is outside of the span."""
    await ask(store, clock, write("one"))
    clock.advance(3 * 86_400)
    await ask(store, clock, write("again"))
    found = await measured(store, clock)
    assert (found.cases, found.reopened, found.questions) == (1, 1, 1)


async def test_the_forgotten_leave_no_figure(store: Store, clock: ManualClock, write: Write) -> None:
    """All figures are counted from what is stored, so that nothing of a person is left in them after /forget."""
    await ask(store, clock, write("one"))
    await ask(store, clock, write("two", who="bob"))
    await store.run(records.forget, write("").sender, 0)
    found = await measured(store, clock)
    assert (found.cases, found.questions) == (1, 1)
