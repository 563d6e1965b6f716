"""Scheduling of waiting and running sequences, without tensors."""

from itertools import count

import pytest

from core.inference.batching.prefix import PrefixCache
from core.inference.batching.scheduler import Scheduler
from core.inference.batching.sequence import Job, Sampled, Sampling, Sequence
from tests.core.inference.options import batch_limits

numbers = count()


def sequence(user: str = "", length: int = 3) -> Sequence:
    job = Job(id=str(next(numbers)), user=user, prompt=tuple(range(length)), max_tokens=9, sampling=Sampling(), seed=0)
    return Sequence(job=job)


def running(scheduler: Scheduler) -> list[Sequence]:
    return [chunk.sequence for chunk in scheduler.schedule().chunks]


def test_users_take_turns() -> None:
    """A user with ten waiting requests is admitted in turn with the other waiting users."""
    scheduler = Scheduler(batch_limits(max_batch=1), PrefixCache(100))
    flood = [sequence("flooder") for _ in range(10)]
    others = [sequence("ann"), sequence("bob")]
    for waiting in flood + others:
        assert scheduler.add(waiting)
    order = []
    for _ in range(5):
        order += running(scheduler)
        scheduler.remove(order[-1])
    assert order == [flood[0], others[0], others[1], flood[1], flood[2]]


def test_one_users_requests_keep_their_order() -> None:
    """The requests of one user are admitted first come, first served."""
    scheduler = Scheduler(batch_limits(max_batch=2), PrefixCache(100))
    mine = [sequence("ann") for _ in range(3)]
    for waiting in mine:
        scheduler.add(waiting)
    assert running(scheduler) == mine[:2]


def test_a_full_queue_refuses_sequences() -> None:
    """The queue is bounded; running sequences do not count, and a freed place can be taken again."""
    scheduler = Scheduler(batch_limits(max_batch=1, max_queue=2), PrefixCache(100))
    first = sequence()
    scheduler.add(first)
    running(scheduler)
    assert [scheduler.add(sequence()) for _ in range(3)] == [True, True, False]
    scheduler.remove(first)
    running(scheduler)
    assert scheduler.add(sequence())


def test_decoding_rows_are_not_limited_by_the_prefill_budget() -> None:
    """Each step runs one token of every decoding row, and at most `prefill_tokens` tokens of prompts."""
    scheduler = Scheduler(batch_limits(prefill_tokens=8), PrefixCache(100))
    decoding, first, second = sequence(length=3), sequence(length=6), sequence(length=6)
    scheduler.add(decoding)
    decoding.computed += scheduler.schedule().chunks[0].count
    decoding.append(Sampled(id=1), b"a")
    for waiting in (first, second):
        scheduler.add(waiting)
    chunks = scheduler.schedule().chunks
    assert [(chunk.sequence, chunk.count) for chunk in chunks] == [(decoding, 1), (first, 6), (second, 2)]


def test_a_prompt_without_budget_waits_for_a_later_step() -> None:
    """A prompt that the step's budget does not cover runs in a later step."""
    scheduler = Scheduler(batch_limits(prefill_tokens=4), PrefixCache(100))
    first, second = sequence(length=4), sequence(length=4)
    scheduler.add(first)
    scheduler.add(second)
    assert running(scheduler) == [first]
    first.computed = 4
    first.append(Sampled(id=1), b"a")
    assert running(scheduler) == [first, second]


def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    """It is read in the next step beside a long one that came first, which goes on with half of the budget."""
    scheduler = Scheduler(batch_limits(prefill_tokens=8), PrefixCache(100))
    long, shorts = sequence(length=90), [sequence(length=4) for _ in range(3)]
    scheduler.add(long)
    long.computed += scheduler.schedule().chunks[0].count
    assert long.computed == 8
    for short in shorts:
        scheduler.add(short)
    chunks = scheduler.schedule().chunks
    assert [(chunk.sequence, chunk.count) for chunk in chunks] == [(long, 4), (shorts[0], 4)]


def test_steps_read_less_of_a_long_prompt() -> None:
    """The more of a prompt has been read, the fewer tokens of it a step reads, but at least one."""
    for prefill_tokens, expected in ((128, [128, 64, 43, 26]), (1, [1, 1, 1, 1])):
        scheduler = Scheduler(batch_limits(prefill_tokens=prefill_tokens), PrefixCache(2000))
        long = sequence(length=20_000)
        scheduler.add(long)
        counts = []
        for long.computed in (4_000, 4_096, 8_192, 16_384):
            [chunk] = scheduler.schedule().chunks
            counts.append(chunk.count)
        assert counts == expected


def test_removed_sequences_reach_the_runner_once() -> None:
    """The next step lists a removed sequence that ran, so that its memory is freed, but not one that only waited."""
    scheduler = Scheduler(batch_limits(max_batch=1), PrefixCache(100))
    ran, waited = sequence("ann"), sequence("bob")
    scheduler.add(ran)
    scheduler.add(waited)
    running(scheduler)
    for _ in range(2):
        scheduler.remove(ran)
        scheduler.remove(waited)
    assert scheduler.has_work
    step = scheduler.schedule()
    assert (step.removed, step.chunks) == ((ran,), ())
    assert not scheduler.has_work


def test_a_single_last_prompt_token_needs_no_budget() -> None:
    """A prompt with one token left runs even if the budget is used up, so that it cannot starve."""
    scheduler = Scheduler(batch_limits(prefill_tokens=4), PrefixCache(100))
    long, short = sequence(length=9), sequence(length=1)
    scheduler.add(long)
    scheduler.add(short)
    assert running(scheduler) == [long, short]


def test_a_discarded_sequence_leaves_nothing_to_reuse() -> None:
    """A step that failed may not have copied the block that a sequence begins with, so that block is not kept."""
    scheduler = Scheduler(batch_limits(), PrefixCache(100))
    first, second = sequence("ann", length=20), sequence("ann", length=19)
    scheduler.add(first)
    scheduler.mark_computed(scheduler.schedule().chunks[0])
    scheduler.remove(first)
    scheduler.add(second)
    assert scheduler.schedule().copies
    scheduler.discard(second)
    scheduler.schedule()
    assert scheduler.cache.used == 2


@pytest.mark.parametrize("moment", ["waiting", "running", "removed"])
def test_a_sequence_of_a_forgotten_owner_goes_on_and_leaves_nothing(moment: str) -> None:
    """It ends as any other, and its blocks are not kept, whenever its owner is forgotten."""
    scheduler = Scheduler(batch_limits(), PrefixCache(100))
    mine, other = sequence("ann", length=40), sequence("bob", length=40)
    scheduler.add(mine)
    scheduler.add(other)
    if moment == "waiting":
        scheduler.forget({"ann"})
    chunks = scheduler.schedule().chunks
    if moment == "running":
        scheduler.forget({"ann"})
    for chunk in chunks:
        scheduler.mark_computed(chunk)
    scheduler.remove(mine)
    scheduler.remove(other)
    if moment == "removed":
        scheduler.forget({"ann"})
    scheduler.schedule()
    assert [mine.computed, other.computed] == [40, 40]
    assert scheduler.cache.used == 3


def test_a_forgotten_owner_begins_anew() -> None:
    """What an owner sends after they were forgotten is kept for reuse again."""
    scheduler = Scheduler(batch_limits(), PrefixCache(100))
    scheduler.forget({"ann"})
    later = sequence("ann", length=40)
    scheduler.add(later)
    scheduler.mark_computed(scheduler.schedule().chunks[0])
    scheduler.remove(later)
    scheduler.schedule()
    assert scheduler.cache.used == 3


def decoding(scheduler: Scheduler, *prompts: tuple[int, ...]) -> list[Sequence]:
    """Sequences whose next step is a decode step, after token 1."""
    found = []
    for prompt in prompts:
        job = Job(id=str(next(numbers)), user="", prompt=prompt, max_tokens=20, sampling=Sampling(), seed=0)
        found.append(Sequence(job=job))
        scheduler.add(found[-1])
    for chunk in scheduler.schedule().chunks:
        scheduler.mark_computed(chunk)
        chunk.sequence.append(Sampled(id=1), b"")
    return found


def test_a_small_step_has_drafts() -> None:
    """A step has as many tokens as are almost free: a sequence that repeats itself has what another one leaves."""
    scheduler = Scheduler(batch_limits(max_speculative_step=8), PrefixCache(100))
    decoding(scheduler, (5, 6, 7), (*range(1, 10), 7, 8, 9))
    drafts = [chunk.draft for chunk in scheduler.schedule().chunks]
    assert drafts == [(), (2,)]
    scheduler = Scheduler(batch_limits(max_speculative_step=8), PrefixCache(100))
    decoding(scheduler, (5, 6, 7), (8, 9, *range(1, 10), 8, 9))
    assert [chunk.draft for chunk in scheduler.schedule().chunks] == [(), (2, 3, 4, 5, 6, 7)]


def test_a_large_step_has_no_drafts() -> None:
    """If the batch alone fills a step, nothing is drafted."""
    scheduler = Scheduler(batch_limits(max_batch=8, max_speculative_step=4), PrefixCache(100))
    decoding(scheduler, *[(8, 9, *range(1, 10), 8, 9)] * 4)
    assert not any(chunk.draft for chunk in scheduler.schedule().chunks)
