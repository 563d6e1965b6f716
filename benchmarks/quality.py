"""Quality of a precision: `python -m benchmarks.quality MODEL DTYPE THREADS` prints a row of a Markdown table.

It compares logits and greedy replies with those of the same weights in fp32, computed by the model server's own code.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.parley_worker import open_model, step
from benchmarks.questions import LOCALE
from config.personas import load_persona
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.batching.sequence import Job, Sampled, Sampling
from core.inference.batching.sequence import Sequence as Row
from core.inference.loader import LoadedModel
from core.inference.tokens.template import ChatMessage, Role
from core.models import EMBEDDED
from training.blind import BLIND, read_labelled

PROMPTS, FEW_PROMPTS, TOKENS = 200, 20, 32
"""Prompts for the embedded model and for larger ones, whose steps take a hundred times as long; tokens of a reply."""
SEQUENCES = 8
"""Sequences that are decoded at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of two models at each position of some prompts, as tensors [positions].

    `same_top` is True if the most likely next token is the same. `divergence` is the Kullback-Leibler divergence of the
    distribution from that in fp32, in nats.
    """

    same_top: Tensor
    divergence: Tensor


def main(name: str, dtype: str, threads: int) -> None:
    exact, other = (open_model(name, kind, threads) for kind in ("fp32", dtype))
    print(comparison_row(exact, other, list(encoded_prompts(exact, name)), other.facts["dtype"]))


def comparison_row(exact: LoadedModel, other: LoadedModel, prompts: Sequence[Sequence[int]], precision: str) -> str:
    """Row of the Markdown table: agreement of two models over some prompts."""
    found = agreement(exact, other, prompts)
    unchanged = sum(map(tuple.__eq__, greedy(exact, prompts), greedy(other, prompts)))
    return (
        f"| {exact.name} | {precision} | {found.same_top.float().mean():.2%} of {len(found.same_top)} "
        f"| {found.divergence.mean():.2g} ({found.divergence.max():.2g}) | {unchanged} of {len(prompts)} |"
    )


def encoded_prompts(model: LoadedModel, name: str) -> Iterator[list[int]]:
    """Token ids of prompts with held-out sentences."""
    system = ChatMessage(role=Role.SYSTEM, text=load_persona("parley").system[LOCALE])
    for text in held_out_texts(PROMPTS if name == EMBEDDED else FEW_PROMPTS):
        yield model.template.build([system, ChatMessage(role=Role.USER, text=text)])


def held_out_texts(many: int) -> list[str]:
    """Sentences of the blind evaluation set, evenly spaced."""
    found = read_labelled(BLIND / "mood.tsv")
    return [found[number * len(found) // many].text for number in range(many)]


def logits(model: LoadedModel, ids: Sequence[int]) -> Tensor:
    """Logits of the next token after each of the ids, float32 [length, vocabulary]."""
    scheduler = Scheduler(Limits(max_batch=1, prefill_tokens=1), PrefixCache(model.network.blocks, reuse=False))
    row = Row(job=_job(0, ids))
    scheduler.add(row)
    found = []
    for length in range(1, len(ids) + 1):
        row.ids = list(ids[:length])
        planned = scheduler.schedule()
        found.append(torch.from_numpy(model.network.run(planned)))
        scheduler.mark_computed(planned.chunks[0])
    scheduler.remove(row)
    model.network.run(scheduler.schedule())
    return torch.cat(found)


def agreement(exact: LoadedModel, other: LoadedModel, prompts: Sequence[Sequence[int]]) -> Agreement:
    """Agreement of two models at every position of every prompt."""
    same_top, divergence = [], []
    for ids in prompts:
        expected, actual = logits(exact, ids), logits(other, ids)
        same_top.append(expected.argmax(-1) == actual.argmax(-1))
        expected, actual = expected.log_softmax(-1), actual.log_softmax(-1)
        divergence.append((expected.exp() * (expected - actual)).sum(-1))
    return Agreement(same_top=torch.cat(same_top), divergence=torch.cat(divergence))


def greedy(model: LoadedModel, prompts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Token ids of the greedy reply to each prompt, decoded in batches as the server does."""
    cache = PrefixCache(model.network.blocks, reuse=False)
    limits = Limits(max_batch=SEQUENCES, max_queue=len(prompts))
    runner, scheduler = Runner(model.network, model.allowed), Scheduler(limits, cache)

    def take(row: Row, sampled: Sampled) -> None:
        if row.append(sampled, None if sampled.id in model.eos_ids else b"").finish:
            scheduler.remove(row)

    rows = [Row(job=_job(number, ids)) for number, ids in enumerate(prompts)]
    for row in rows:
        scheduler.add(row)
    while scheduler.has_work:
        step(scheduler, runner, take)
    return [tuple(row.ids[len(row.job.prompt) :]) for row in rows]


def _job(number: int, ids: Sequence[int]) -> Job:
    return Job(id=str(number), user="", prompt=tuple(ids), max_tokens=TOKENS, sampling=Sampling(), seed=0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
