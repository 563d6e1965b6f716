"""`make bench` compares Parley with its alternatives. `python -m benchmarks [PART ...]` runs all parts by default."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from benchmarks import conversations, message, quality, speed
from benchmarks.chatbots import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.machine import PROC, describe_machine
from benchmarks.processes import CACHE, ROOT
from benchmarks.questions import MEASURED
from benchmarks.report import Comparison, table
from benchmarks.results import Results, Section, write_results
from benchmarks.rig import ALTERNATIVES, Rig
from core.errors import ModelError, ModelMissing
from core.models import EMBEDDED, find_model, verify_model

RANDOM_MODEL = CACHE / "qwen2.5-0.5b-words"
TOKENIZER = ROOT.parent / "shared" / "qwen2.5-tokenizer"
RANDOM_TITLE = "Qwen2.5-0.5B's shape, random weights in bf16"


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
    model: Annotated[
        Path | None, typer.Option(help="Folder of a model with real weights, of the Qwen2 family.")
    ] = None,
    random: Annotated[bool, typer.Option(help="Measure random weights too, or only those of --model.")] = True,
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
    write: Annotated[bool, typer.Option("--write", help="Write benchmarks/RESULTS.md and its chart.")] = False,
) -> None:
    """Measures Parley and its alternatives."""
    if not (PROC / "self" / "smaps_rollup").exists():
        _give_up("needs Linux: memory is read from /proc")
    load = f"load average before the run {os.getloadavg()[0]:.1f}"
    machine = f"{describe_machine()}; {threads} threads per engine; {load}"
    results = Results()
    try:
        for title, folder in _folders(model, tokenizer, random=random):
            rig = Rig(model=folder, threads=threads, rounds=rounds, alternatives=alternatives)
            results.sections.append(_section(title, rig, parts or list(Part), tokens))
        _measure_mini(rig, model, parts or list(Part), tokens, results)
    except (ModelError, WrongAnswer) as error:
        _give_up(str(error))
    finally:  # a part that fails after an hour must not cost the others
        print(f"\n\n{results.show()}\n\n{machine}")
    if write:
        write_results(results, machine)


def _folders(model: Path | None, tokenizer: Path, *, random: bool) -> Iterator[tuple[str, Path]]:
    """Title and folder of at least one model."""
    if model:
        yield f"{model.name}, real weights", model.absolute()
    if random or not model:
        yield RANDOM_TITLE, _random_model(tokenizer)


def _section(title: str, rig: Rig, parts: Sequence[Part], tokens: int) -> Section:
    section = Section(title=title)
    for part in parts:
        print(f"measuring: {title}, {part}", file=sys.stderr)
        if part is Part.MESSAGE:
            comparison = _message(title, rig, tokens)
            section.figures += message.figures(comparison)
            section.messages.append(table(comparison))
        elif part in FIGURES:
            section.figures += FIGURES[part](rig)
    return section


def _measure_mini(rig: Rig, model: Path | None, parts: Sequence[Part], tokens: int, results: Results) -> None:
    """What is measured with the embedded model too. Random weights have no quality."""
    if Part.MESSAGE in parts:
        mini = replace(rig, model=find_model(EMBEDDED, ROOT).absolute())
        results.sections.append(Section(title=EMBEDDED, messages=[table(_message(EMBEDDED, mini, tokens))]))
    if Part.QUALITY in parts:
        for name in [EMBEDDED, *([str(model.absolute())] if model else [])]:
            print(f"measuring: {name}, {Part.QUALITY}", file=sys.stderr)
            found = quality.measure(rig, name)
            results.quality += found
            results.quality_figures += quality.figures(found)


def _message(title: str, rig: Rig, tokens: int) -> Comparison:
    verify_model(rig.model)
    name = f"One message with {title}"
    return message.compare(name, rig.model, runs=rig.rounds, tokens=tokens, threads=rig.threads)


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
