"""What speculation gains on real weights: `python -m benchmarks.guesses MODEL [KIND ...]`.

Every reply is written with drafts and without, in turn, and must be the same. The time of its prompt does not count.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Annotated, Final

import typer

from benchmarks.machine import describe_machine
from benchmarks.parley_worker import open_model
from benchmarks.questions import LOCALE
from benchmarks.requests import SCHEMA, Kind, requests
from config.personas import load_persona
from core.inference.batching.constraint import Unconstrained
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.prompts import prompts_step
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Chunk, Limits, Scheduler, Step
from core.inference.batching.sequence import Job, Sampled
from core.inference.batching.sequence import Sequence as Row
from core.inference.grammars.schemas import Schemas
from core.inference.loader import LoadedModel
from core.inference.tokens.template import ChatMessage, Role
from core.inference.weights.precision import Precision
from core.language import language_of
from core.prompt import chat_prompt

CONTEXT: Final = 300
"""Tokens before a step whose duration is measured."""
STEPS: Final = 30
"""Steps of each size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Replies, and what they took after their first tokens."""

    replies: Sequence[Sequence[int]] = ()
    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    drafted: int = 0
    accepted: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(
            replies=(*self.replies, *other.replies),
            seconds=self.seconds + other.seconds,
            steps=self.steps + other.steps,
            tokens=self.tokens + other.tokens,
            drafted=self.drafted + other.drafted,
            accepted=self.accepted + other.accepted,
        )


def main(
    model: Annotated[str, typer.Argument(help="Folder of a model with real weights.")],
    kinds: Annotated[list[Kind] | None, typer.Argument(help="What people ask for; all by default.")] = None,
    *,
    dtype: Annotated[Precision, typer.Option(help="Data type of the weights.")] = Precision.INT8,
    people: Annotated[list[int], typer.Option(help="People who ask at once.")] = [1, 4],  # noqa: B006  typer copies it
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median counts.")] = 3,
    tokens: Annotated[int, typer.Option(min=2, help="Maximum tokens of a reply.")] = 160,
    threads: Annotated[int, typer.Option(min=1, help="Compute threads.")] = 2,
) -> None:
    """Prints the durations of steps, and the speed of replies with drafts and without."""
    loaded = open_model(model, dtype, threads)
    print(f"{describe_machine()}; {loaded.facts}\n")
    print("| people | ms of a step with 0, 1, 2, ... drafted tokens each |\n|---|---|")
    for many in people:
        print(f"| {many} | {', '.join(f'{1000 * seconds:.1f}' for seconds in _durations(loaded, many))} |")
    print("\n| replies | people | tokens | drafted | accepted | steps saved | tokens/s without | with | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in kinds or Kind:
        for many in people:
            print(f"| {kind} | {many} | {_compared(loaded, kind, many, rounds, tokens)} |", flush=True)


def _durations(model: LoadedModel, many: int) -> list[float]:
    """Median seconds of a step with 0, 1, 2, ... draft tokens of each sequence, as many as speculation may have."""
    rng = random.Random(0)
    sizes = range(1, max(model.network.max_speculative_step // many, 1) + 1)
    ids = [[rng.randrange(len(model.vocabulary.tokens)) for _ in range(CONTEXT + len(sizes))] for _ in range(many)]
    step = prompts_step(ids)
    model.network.run(step)
    rows, taken = [chunk.sequence for chunk in step.chunks], {size: list[float]() for size in sizes}
    for row in rows:
        row.ids, row.computed = row.ids[:CONTEXT], CONTEXT - 1
    for size in STEPS * list(sizes):
        chunks = (Chunk(sequence=row, count=1, draft=row.job.prompt[CONTEXT : CONTEXT + size - 1]) for row in rows)
        begun = time.perf_counter()
        model.network.run(Step(chunks=tuple(chunks)))
        taken[size].append(time.perf_counter() - begun)
    model.network.run(Step(chunks=(), removed=tuple(rows)))
    return [median(own) for own in taken.values()]


def _compared(model: LoadedModel, kind: Kind, many: int, rounds: int, tokens: int) -> str:
    """A row of the table: all requests of a kind, so many at once."""
    schemas, texts = Schemas(model.vocabulary, model.eos_ids), requests(kind)
    without, drafting = Written(), Written()
    for start in range(0, len(texts), many):
        prompts = [_prompt(model, text) for text in texts[start : start + many]]
        took: tuple[list[Written], list[Written]] = ([], [])
        for number in range(2 * rounds):
            rows = [_row(model, prompt, tokens, start + place) for place, prompt in enumerate(prompts)]
            for row in rows:
                row.constraint = schemas.constraint(SCHEMA) if kind is Kind.JSON else Unconstrained()
            took[number % 2].append(_write(model, rows, number % 2 * model.network.max_speculative_step))
        without, drafting = without + _median(took[0]), drafting + _median(took[1])
    if without.replies != drafting.replies:
        raise SystemExit("guesses: a draft has changed a reply")
    speeds = [one.tokens / one.seconds for one in (without, drafting)]
    drafts = f"{drafting.drafted} | {drafting.accepted} | {1 - drafting.steps / without.steps:.0%}"
    return f"{without.tokens} | {drafts} | {speeds[0]:.1f} | {speeds[1]:.1f} | {speeds[1] / speeds[0]:.2f}"


def _median(rounds: Sequence[Written]) -> Written:
    return replace(rounds[0], seconds=median(one.seconds for one in rounds))


def _prompt(model: LoadedModel, text: str) -> list[int]:
    prompt = chat_prompt(load_persona("parley"), language_of(text) or LOCALE, (), text)
    return model.template.build([ChatMessage(role=Role(one.role), text=one.content) for one in prompt])


def _row(model: LoadedModel, prompt: Sequence[int], tokens: int, seed: int) -> Row:
    job = Job(id=f"{seed}", user="", prompt=tuple(prompt), max_tokens=tokens, sampling=model.sampling, seed=seed)
    return Row(job=job)


def _write(model: LoadedModel, rows: Sequence[Row], max_speculative_step: int) -> Written:
    """Write replies at the same time, as the server does."""
    limits = Limits(max_batch=len(rows), max_speculative_step=max_speculative_step)
    scheduler = Scheduler(limits, PrefixCache(model.network.blocks, reuse=False))
    runner, written = Runner(model.network, model.allowed), Written()
    for row in rows:
        scheduler.add(row)
    while scheduler.has_work:
        begun = time.perf_counter()
        step = scheduler.schedule()
        sampled = [_accept(model, scheduler, *one) for one in zip(step.chunks, runner.run(step), strict=True)]
        if step.chunks and all(chunk.count == 1 for chunk in step.chunks):
            written += Written(
                seconds=time.perf_counter() - begun,
                steps=1,
                tokens=sum(sampled),
                drafted=sum(len(chunk.draft) for chunk in step.chunks),
                accepted=sum(sampled) - len(sampled),
            )
    return replace(written, replies=[row.ids for row in rows])


def _accept(model: LoadedModel, scheduler: Scheduler, chunk: Chunk, tokens: list[Sampled] | str) -> int:
    """Add sampled tokens to a reply, and end it; how many they were."""
    assert not isinstance(tokens, str), "the model computes numbers"
    scheduler.mark_computed(chunk, max(len(tokens) - 1, 0))
    for sampled in tokens:
        token = None if sampled.id in model.eos_ids else model.vocabulary.bytes_of(sampled.id)
        if scheduler.is_running(chunk.sequence) and chunk.sequence.append(sampled, token).finish:
            scheduler.remove(chunk.sequence)
    return len(tokens)


if __name__ == "__main__":
    typer.run(main)
