"""`make bench`: Parley beside its alternatives. `python -m benchmarks [PART ...]`: all parts unless some are named."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from benchmarks import conversations, message, speed
from benchmarks.figures import Figure
from benchmarks.machine import PROC, describe_machine
from benchmarks.questions import COUNTED
from benchmarks.report import table
from benchmarks.results import Results, write_results
from benchmarks.rig import ALTERNATIVES, CACHE, Rig
from benchmarks.sides import ROOT, WrongAnswer
from core.errors import ModelError, ModelMissing
from core.models import EMBEDDED, find_model, verify_model

SHAPE = CACHE / "qwen2.5-0.5b-words"
TOKENIZER = ROOT.parent / "shared" / "qwen2.5-tokenizer"
TITLES = {True: "One message with Qwen2.5-0.5B's shape, random weights in bf16", False: "One message with mini"}


class Part(StrEnum):
    """What can be measured on its own."""

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
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; everything unless named.")] = None,
    *,
    tokenizer: Annotated[Path, typer.Option(help="The folder of Qwen2.5's tokenizer, for the shape.")] = TOKENIZER,
    alternatives: Annotated[Path, typer.Option(help="What `make bench-alternatives` has made.")] = ALTERNATIVES,
    rounds: Annotated[int, typer.Option(min=1, max=len(COUNTED), help="How often each side is measured.")] = 5,
    tokens: Annotated[int, typer.Option(min=1, help="The longest reply of a single message.")] = 48,
    threads: Annotated[int, typer.Option(min=1, help="Threads for every side.")] = 2,
    dtype: Annotated[str, typer.Option(help="How Parley holds the weights: engine.dtype.")] = "auto",
    write: Annotated[bool, typer.Option("--write", help="Write benchmarks/RESULTS.md and its plot.")] = False,
) -> None:
    """Measures Parley beside its alternatives."""
    if not (PROC / "self" / "smaps_rollup").exists():
        _give_up("memory is read from /proc, which this system does not have")
    before = f"{os.getloadavg()[0]:.1f} of load before"
    results = Results()
    try:
        rig = Rig(model=_shape(tokenizer), threads=threads, rounds=rounds, dtype=dtype, alternatives=alternatives)
        for part in parts or Part:
            print(f"measuring: {part}", file=sys.stderr)
            _measure(part, rig, tokens, results)
    except (ModelError, WrongAnswer) as error:
        _give_up(str(error))
    machine = f"{describe_machine()}; threads for every side: {threads}; {before}"
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
        compared = message.compare(title, model, runs=rig.rounds, tokens=tokens, threads=rig.threads)
        results.messages.append(table(compared))
        if model == rig.model:
            results.figures += message.figures(compared)


def _quality(rig: Rig, model: str) -> str:
    command = [sys.executable, "-m", "benchmarks.quality", model, rig.dtype, str(rig.threads)]
    ran = subprocess.run(command, cwd=ROOT, env=rig.ours, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return ran.stdout.strip()


def _shape(tokenizer: Path) -> Path:
    """The folder of the model of noise. It is made when it is first asked for, by a process that is gone then."""
    if not SHAPE.exists():
        if not tokenizer.exists():
            raise ModelMissing(str(tokenizer), "name the folder of Qwen2.5's tokenizer with --tokenizer")
        subprocess.run([sys.executable, "-m", "benchmarks.shape", SHAPE, tokenizer], cwd=ROOT, check=True)
    return SHAPE


def _give_up(reason: str) -> NoReturn:
    typer.echo(f"bench: {reason}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
