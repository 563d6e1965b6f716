"""Measures the quality of a model's weights in fewer bits: `python -m benchmarks.quality_worker MODEL THREADS FOLDER`.

FOLDER is that of the alternatives. Prints a list of `benchmarks.quality.Quality` as JSON. All are compared with the
same weights in fp32, computed by the model server's own code. One model is loaded at a time; the exact logits lie in
files meanwhile.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
from pydantic import TypeAdapter

from benchmarks.agreement import Agreement, agreement, joined
from benchmarks.engines import GGUFS, PRECISIONS, Engine, logits_worker
from benchmarks.figures import Unavailable
from benchmarks.parley_worker import open_model, step
from benchmarks.processes import CACHE, ROOT
from benchmarks.quality import Closeness, Quality
from benchmarks.rig import Rig
from benchmarks.texts import prompts, prose
from benchmarks.worker import Passage, Written
from benchmarks.workers import open_worker
from config.settings import EngineSettings
from core.inference.arrays import Floats
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.prompts import prompts_step
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Chunk, Limits, Scheduler, Step
from core.inference.batching.sequence import Job, Sampled, Sampling
from core.inference.batching.sequence import Sequence as Row
from core.inference.loader import LoadedModel
from core.inference.weights.precision import Precision
from core.messages import Label
from core.models import find_model
from core.stages.mood import MoodReader
from training.blind import BLIND, Labelled, read_labelled
from training.evaluate import serve

Logits: TypeAlias = Callable[[Sequence[int]], Floats]
"""Logits after each of the ids, float32 [length, vocabulary]."""

DEVELOPMENT = BLIND / "development.tsv"
SEQUENCES, TOKENS = 8, 32
"""Sequences that are decoded at once, and tokens of a reply."""
CHUNK = 128
"""Tokens of a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """What the exact weights say: logits of each text, in a file of the folder, and a greedy reply to each prompt."""

    prompts: Sequence[Sequence[int]]
    prose: Sequence[Sequence[int]]
    folder: Path
    replies: Sequence[tuple[int, ...]]

    def agreement(self, logits: Logits, texts: Sequence[Sequence[int]], first: int) -> Agreement:
        """Agreement about texts, the first of which has this number."""
        known = (np.load(self.folder / f"{number}.npy", mmap_mode="r") for number in range(first, first + len(texts)))
        return joined(agreement(own, logits(ids), ids) for own, ids in zip(known, texts, strict=True))


def main(name: str, threads: int, alternatives: Path) -> None:
    rig = Rig(model=find_model(name, ROOT).absolute(), threads=threads, rounds=1, alternatives=alternatives)
    with TemporaryDirectory(dir=CACHE) as folder:
        exact = compute_exact(name, threads, Path(folder))
        found = [_parley(name, threads, exact, engine) for engine in PRECISIONS]
        found += _llama(name, rig, exact)
    print(TypeAdapter(list[Quality]).dump_json(found).decode())


def compute_exact(name: str, threads: int, folder: Path) -> Exact:
    """Reads the texts with the exact weights."""
    model = open_model(name, PRECISIONS[Engine.FP32], threads)
    asked = prompts(model, name)
    exact = Exact(prompts=asked, prose=prose(model), folder=folder, replies=greedy(model, asked))
    for number, ids in enumerate([*exact.prompts, *exact.prose]):
        np.save(folder / f"{number}.npy", logits_of(model, ids))
    return exact


def _parley(name: str, threads: int, exact: Exact, engine: Engine) -> Quality:
    mood = asyncio.run(mood_accuracy(name, threads, engine, read_labelled(DEVELOPMENT)))
    model = open_model(name, PRECISIONS[engine], threads)
    replies = greedy(model, exact.prompts)
    unchanged = sum(map(tuple.__eq__, exact.replies, replies))
    found = _quality(name, engine, exact, partial(logits_of, model))
    return replace(found, mood=mood, replies=len(replies), unchanged=unchanged)


def _llama(name: str, rig: Rig, exact: Exact) -> Iterator[Quality]:
    """Quality of llama.cpp's files, of those that can be made."""
    for engine in GGUFS:
        try:
            with llama_logits(rig, engine, exact.folder) as logits:
                yield _quality(name, engine, exact, logits)
        except Unavailable as error:
            print(f"quality: {engine}: {error}", file=sys.stderr)


def _quality(name: str, engine: Engine, exact: Exact, logits: Logits) -> Quality:
    asked = exact.agreement(logits, exact.prompts, 0)
    read = exact.agreement(logits, exact.prose, len(exact.prompts))
    print(f"quality: {name}, {engine}: divergence {read.divergence.mean():.2g} nats in prose", file=sys.stderr)
    return Quality(
        model=Path(name).name,
        engine=engine,
        prompts=_closeness(asked),
        prose=_closeness(read),
        perplexity=read.perplexity,
    )


def _closeness(found: Agreement) -> Closeness:
    return Closeness(
        positions=len(found.same_top),
        same_top=float(found.same_top.float().mean()),
        divergence=float(found.divergence.mean()),
        largest=float(found.divergence.max()),
    )


async def mood_accuracy(name: str, threads: int, engine: Engine, texts: Sequence[Labelled[Label]]) -> float:
    """Share of texts whose mood the bot reads rightly."""
    settings = EngineSettings(model=name, threads=threads, dtype=Precision(PRECISIONS[engine]).value)
    async with serve(settings) as (client, calibrations):
        moods = MoodReader(client)
        await moods.calibrate(calibrations)
        read = [(await moods.read(text.text, text.language)).label for text in texts]
    return sum(label is text.label for label, text in zip(read, texts, strict=True)) / len(texts)


@contextmanager
def llama_logits(rig: Rig, engine: Engine, folder: Path) -> Iterator[Logits]:
    """llama.cpp's logits, which its worker writes into the folder. Raises Unavailable."""
    with open_worker(logits_worker(rig, engine)) as worker:
        path = folder / "written.npy"

        def logits(ids: Sequence[int]) -> Floats:
            worker.run(Passage(ids=list(ids), into=str(path)), Written)
            found: Floats = np.load(path)
            return found

        yield logits


def logits_of(model: LoadedModel, ids: Sequence[int]) -> Floats:
    """Logits of the next token after each of the ids, float32 [length, vocabulary].

    All but the first id of a step count as a draft to verify, so that each of them has logits.
    """
    [whole] = prompts_step([ids]).chunks
    row, found = whole.sequence, []
    for start in range(0, len(ids), CHUNK if model.network.max_speculative_step else 1):
        row.ids, row.computed = list(ids[: start + 1]), start
        chunk = Chunk(sequence=row, count=1, draft=tuple(ids[start + 1 : start + CHUNK]))
        found.append(model.network.run(Step(chunks=(chunk,))))
    model.network.run(Step(chunks=(), removed=(row,)))
    return np.concatenate(found)


def greedy(model: LoadedModel, texts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Token ids of the greedy reply to each prompt, decoded in batches as the server does."""
    cache = PrefixCache(model.network.blocks, reuse=False)
    limits = Limits(max_batch=SEQUENCES, max_queue=len(texts))
    runner, scheduler = Runner(model.network, model.allowed), Scheduler(limits, cache)

    def take(row: Row, sampled: Sampled) -> None:
        if row.append(sampled, None if sampled.id in model.eos_ids else b"").finish:
            scheduler.remove(row)

    rows = [Row(job=_job(number, ids)) for number, ids in enumerate(texts)]
    for row in rows:
        scheduler.add(row)
    while scheduler.has_work:
        step(scheduler, runner, take)
    return [tuple(row.ids[len(row.job.prompt) :]) for row in rows]


def _job(number: int, ids: Sequence[int]) -> Job:
    return Job(id=str(number), user="", prompt=tuple(ids), max_tokens=TOKENS, sampling=Sampling(), seed=0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
