"""Run sequences to their end on a loop, without a server."""

from collections.abc import Callable
from collections.abc import Sequence as Rows
from itertools import count

from core.clock import ManualClock
from core.inference.arrays import Floats
from core.inference.batching.constraint import Constraint, Unconstrained
from core.inference.batching.loop import Loop
from core.inference.batching.network import Network
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.batching.sequence import Fault, Job, Output, Sampling, Sequence
from core.inference.loader import LoadedModel
from tests.core.inference.options import batch_limits

numbers = count()


def sequence(
    prompt: Rows[int],
    sampling: Sampling | None = None,
    *,
    max_tokens: int = 40,
    user: str = "",
    shared: int = 0,
    seed: int = 3,
    constraint: Constraint | None = None,
) -> Sequence:
    job = Job(
        id=str(next(numbers)),
        user=user,
        prompt=tuple(prompt),
        max_tokens=max_tokens,
        sampling=sampling or Sampling(),
        seed=seed,
        shared=shared,
    )
    return Sequence(job=job, constraint=constraint or Unconstrained())


class Rig:
    """A loop over a network that runs on the caller's thread."""

    def __init__(self, model: LoadedModel, limits: Limits | None = None, *, reuse: bool = True) -> None:
        network: Network = model.network
        self.cache = PrefixCache(min(network.blocks, 1000), reuse=reuse and network.supports_prefix_cache)
        self._scheduler = Scheduler(
            limits or batch_limits(max_speculative_step=network.max_speculative_step), self.cache
        )
        runner = Runner(network, model.allowed)
        self.loop = Loop(runner, self._scheduler, model.vocabulary, model.eos_ids, ManualClock())

    def run(self, *sequences: Sequence, on_output: Callable[[Sequence], object] = lambda _: None) -> None:
        """Run sequences in one batch until all have ended; `on_output` is called after each of their tokens."""
        for each in sequences:
            self.submit(each, on_output)
        while self.loop.step():
            pass

    def submit(self, each: Sequence, on_output: Callable[[Sequence], object] = lambda _: None) -> None:
        def emit(output: Output | Fault) -> None:
            assert not isinstance(output, str)
            on_output(each)

        assert self.loop.submit(each, emit)


def logits(model: LoadedModel, ids: Rows[int], chunk: int = 0) -> Floats:
    """Logits of the next token after `ids`, [vocabulary]; prefilled in chunks of `chunk` tokens, 0 for all."""
    scheduler = Scheduler(batch_limits(prefill_tokens=chunk or len(ids)), PrefixCache(len(ids), reuse=False))
    alone = sequence(ids, max_tokens=1)
    scheduler.add(alone)
    rows: list[Floats] = []
    while not rows:
        step = scheduler.schedule()
        rows = [*model.network.run(step)]
        scheduler.mark_computed(step.chunks[0])
    [row] = rows
    scheduler.remove(alone)
    model.network.run(scheduler.schedule())
    return row
