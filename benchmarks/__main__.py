"""`make bench` compares Parley with its alternatives. `python -m benchmarks [PART ...]` runs all parts by default."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from benchmarks import conversations, message, speed
from benchmarks.chatbots import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.machine import PROC, describe_machine
from benchmarks.processes import CACHE, ROOT, clean_environment
from benchmarks.questions import MEASURED
from benchmarks.report import table
from benchmarks.results import Results, write_results
from benchmarks.rig import ALTERNATIVES, Rig
from core.errors import ModelError, ModelMissing
from core.models import EMBEDDED, find_model, verify_model

RANDOM_MODEL = CACHE / "qwen2.5-0.5b-words"
TOKENIZER = ROOT.parent / "shared" / "qwen2.5-tokenizer"
TITLES = {True: "One message with Qwen2.5-0.5B's shape, random weights in bf16", False: "One message with mini"}


class Part(StrEnum):
    """A part of the benchmark that can run alone."""

    SPEED = "speed"
    PEOPLE = "people"
    TURNS = "turns"
    MEMORY = "memory"
    MESSAGE = "message"
    QUALITY = "quality"


FIGURES: Mapping[Part, Callable[[Rig], list[Figure]]] = {
    Part.SPEED: speed.measure,
    Part.PEOPLE: conversations.people,
    Part.TURNS: conversations.turns,
    Part.MEMORY: conversations.memory,
}


def main(  # noqa: PLR0913  one argument for each option of the command line
    parts: Annotated[list[Part] | None, typer.Argument(help="Parts to measure; all by default.")] = None,
    *,
    tokenizer: Annotated[
        Path, typer.Option(help="Folder of Qwen2.5's tokenizer, for the model with random weights.")
    ] = TOKENIZER,
    alternatives: Annotated[
        Path, typer.Option(help="Folder that `make bench-alternatives` has filled.")
    ] = ALTERNATIVES,
    rounds: Annotated[
        int, typer.Option(min=1, max=len(MEASURED), help="Rounds; each engine is measured once in each.")
    ] = 5,
    tokens: Annotated[int, typer.Option(min=1, help="Maximum tokens of a reply in the part `message`.")] = 48,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every engine.")] = 2,
    dtype: Annotated[str, typer.Option(help="Precision of Parley's weights: engine.dtype.")] = "auto",
    write: Annotated[bool, typer.Option("--write", help="Write benchmarks/RESULTS.md and its chart.")] = False,
) -> None:
    """Measures Parley and its alternatives."""
    if not (PROC / "self" / "smaps_rollup").exists():
        _give_up("needs Linux: memory is read from /proc")
    load = f"load average before the run {os.getloadavg()[0]:.1f}"
    results = Results()
    try:
        rig = Rig(
            model=_random_model(tokenizer), threads=threads, rounds=rounds, dtype=dtype, alternatives=alternatives
        )
        for part in parts or Part:
            print(f"measuring: {part}", file=sys.stderr)
            _measure(part, rig, tokens, results)
    except (ModelError, WrongAnswer) as error:
        _give_up(str(error))
    machine = f"{describe_machine()}; {threads} threads per engine; {load}"
    print(f"\n\n{results.show()}\n\n{machine}")
    if write:
        write_results(results, machine)


def _measure(part: Part, rig: Rig, tokens: int, results: Results) -> None:
    if part is Part.MESSAGE:
        _messages(rig, tokens, results)
    elif part is Part.QUALITY:
        results.quality += [_quality(rig, model) for model in (EMBEDDED, str(rig.model))]
    else:
        results.figures += FIGURES[part](rig)


def _messages(rig: Rig, tokens: int, results: Results) -> None:
    for model in (rig.model, find_model(EMBEDDED, ROOT).absolute()):
        verify_model(model)
        title = TITLES[model == rig.model]
        comparison = message.compare(title, model, runs=rig.rounds, tokens=tokens, threads=rig.threads)
        results.messages.append(table(comparison))
        if model == rig.model:
            results.figures += message.figures(comparison)


def _quality(rig: Rig, model: str) -> str:
    command = [sys.executable, "-m", "benchmarks.quality", model, rig.dtype, str(rig.threads)]
    process = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return process.stdout.strip()


def _random_model(tokenizer: Path) -> Path:
    """Folder of the model with random weights. A child process writes it on first use, so that its memory is freed.

    Raises ModelMissing if there is no tokenizer.
    """
    if not RANDOM_MODEL.exists():
        if not tokenizer.exists():
            raise ModelMissing(str(tokenizer), "give the folder of Qwen2.5's tokenizer with --tokenizer")
        subprocess.run([sys.executable, "-m", "benchmarks.random_model", RANDOM_MODEL, tokenizer], cwd=ROOT, check=True)
    return RANDOM_MODEL


def _give_up(reason: str) -> NoReturn:
    typer.echo(f"bench: {reason}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
