"""Who runs next, without any tensor."""

from itertools import count

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
    """Whoever sent ten requests first still lets the others in after each one of theirs."""
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
    """Among the requests of one user, first come is first served."""
    scheduler = Scheduler(batch_limits(max_batch=2), PrefixCache(100))
    mine = [sequence("ann") for _ in range(3)]
    for waiting in mine:
        scheduler.add(waiting)
    assert running(scheduler) == mine[:2]


def test_a_full_queue_takes_no_more() -> None:
    """The queue is bounded; what runs does not count, and room is room again."""
    scheduler = Scheduler(batch_limits(max_batch=1, max_queue=2), PrefixCache(100))
    first = sequence()
    scheduler.add(first)
    running(scheduler)
    assert [scheduler.add(sequence()) for _ in range(3)] == [True, True, False]
    scheduler.remove(first)
    running(scheduler)
    assert scheduler.add(sequence())


def test_rows_decode_together_while_prompts_share_a_budget() -> None:
    """Each step gives every decoding row its token, and reads at most so many tokens of prompts."""
    scheduler = Scheduler(batch_limits(prefill_tokens=8), PrefixCache(100))
    decoding, first, second = sequence(length=3), sequence(length=6), sequence(length=6)
    scheduler.add(decoding)
    decoding.computed += scheduler.schedule().chunks[0].count
    decoding.append(Sampled(id=1), b"a")
    for waiting in (first, second):
        scheduler.add(waiting)
    chunks = scheduler.schedule().chunks
    assert [(chunk.sequence, chunk.count) for chunk in chunks] == [(decoding, 1), (first, 6), (second, 2)]


def test_a_prompt_that_must_wait_is_left_out_of_the_step() -> None:
    """A prompt for which no budget is left runs in a later step, and is not lost."""
    scheduler = Scheduler(batch_limits(prefill_tokens=4), PrefixCache(100))
    first, second = sequence(length=4), sequence(length=4)
    scheduler.add(first)
    scheduler.add(second)
    assert running(scheduler) == [first]
    first.computed = 4
    first.append(Sampled(id=1), b"a")
    assert running(scheduler) == [first, second]


def test_the_removed_are_handed_to_the_runner_once() -> None:
    """A sequence that ran is named as gone in the next step, so that its memory is freed; one that waited never is."""
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


def test_the_last_prompt_token_alone_still_counts_as_prompt() -> None:
    """A prompt whose rest is one token is read even where the budget is used up, so that it cannot starve."""
    scheduler = Scheduler(batch_limits(prefill_tokens=4), PrefixCache(100))
    long, short = sequence(length=9), sequence(length=1)
    scheduler.add(long)
    scheduler.add(short)
    assert running(scheduler) == [long, short]
