"""What a precision costs: `python -m benchmarks.quality MODEL DTYPE THREADS` prints a row of Markdown.

Logits and greedy texts of a model at one precision beside the same weights in fp32, through the server's own code.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.parley_rows import open_model, step
from benchmarks.questions import LOCALE, WORDS
from config.personas import load_persona
from core.inference.batching.detokenise import TextStream
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.batching.sequence import Job, Sampled, Sampling
from core.inference.batching.sequence import Sequence as Row
from core.inference.loader import LoadedModel
from core.inference.tokens.template import Role, Said
from core.models import EMBEDDED
from training.blind import BLIND, read_labelled

PROMPTS, TOKENS = 200, 32
NOISE_PROMPTS, NOISE_WORDS = 20, 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """At each place of some prompts: whether the likeliest token is the same, and the Kullback-Leibler divergence of
    the next token's distribution from that in fp32, in nats.
    """

    same: Tensor
    divergence: Tensor


def main(name: str, dtype: str, threads: int) -> None:
    exact, other = (open_model(name, kind, threads) for kind in ("fp32", dtype))
    print(compared(exact, other, list(prompts(exact, name)), other.facts["dtype"]))


def compared(exact: LoadedModel, other: LoadedModel, asked: Sequence[Sequence[int]], precision: str) -> str:
    """Two models beside each other over some prompts, as a row of Markdown."""
    found = agreement(exact, other, asked)
    kept = sum(map(tuple.__eq__, greedy(exact, asked), greedy(other, asked)))
    return (
        f"| {exact.name} | {precision} | {found.same.float().mean():.2%} of {len(found.same)} "
        f"| {found.divergence.mean():.2g} ({found.divergence.max():.2g}) | {kept} of {len(asked)} |"
    )


def prompts(model: LoadedModel, name: str) -> Iterator[list[int]]:
    """Sentences that nobody trained on for a model that can read, words at random for one that cannot."""
    system = Said(role=Role.SYSTEM, text=load_persona("parley").system[LOCALE])
    for text in sentences() if name == EMBEDDED else noise():
        yield model.template.build([system, Said(role=Role.USER, text=text)])


def sentences() -> list[str]:
    found = read_labelled(BLIND / "mood.tsv")
    return [found[number * len(found) // PROMPTS].text for number in range(PROMPTS)]


def noise() -> list[str]:
    choice = random.Random(0)
    return [" ".join(choice.choices(WORDS, k=NOISE_WORDS)) for _ in range(NOISE_PROMPTS)]


def logits(model: LoadedModel, ids: Sequence[int]) -> Tensor:
    """float32 [length, vocabulary]: what the model thinks comes after each of the ids."""
    scheduler = Scheduler(Limits(prefill_tokens=1), PrefixCache(model.network.blocks, reuse=False))
    row = Row(job=_job(0, ids), text=TextStream())
    scheduler.add(row)
    found = []
    for length in range(1, len(ids) + 1):
        row.ids = list(ids[:length])
        planned = scheduler.schedule()
        found.append(torch.from_numpy(model.network.run(planned)))
        scheduler.computed(planned.chunks[0])
    scheduler.remove(row)
    model.network.run(scheduler.schedule())
    return torch.cat(found)


def agreement(exact: LoadedModel, other: LoadedModel, asked: Sequence[Sequence[int]]) -> Agreement:
    """The two precisions beside each other at every place of every prompt."""
    same, divergence = [], []
    for ids in asked:
        wanted, got = logits(exact, ids), logits(other, ids)
        same.append(wanted.argmax(-1) == got.argmax(-1))
        wanted, got = wanted.log_softmax(-1), got.log_softmax(-1)
        divergence.append((wanted.exp() * (wanted - got)).sum(-1))
    return Agreement(same=torch.cat(same), divergence=torch.cat(divergence))


def greedy(model: LoadedModel, asked: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """The ids of each greedy reply, several at once, as the server writes them."""
    cache = PrefixCache(model.network.blocks, reuse=False)
    runner, scheduler = Runner(model.network, model.allowed), Scheduler(Limits(max_queue=len(asked)), cache)

    def take(row: Row, sampled: Sampled) -> None:
        if row.append(sampled, None if sampled.id in model.ends else b"").finish:
            scheduler.remove(row)

    rows = [Row(job=_job(number, ids), text=TextStream()) for number, ids in enumerate(asked)]
    for row in rows:
        scheduler.add(row)
    while scheduler.has_work:
        step(scheduler, runner, take)
    return [tuple(row.ids[len(row.job.prompt) :]) for row in rows]


def _job(number: int, ids: Sequence[int]) -> Job:
    return Job(id=str(number), user="", prompt=tuple(ids), max_tokens=TOKENS, sampling=Sampling(), seed=0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
