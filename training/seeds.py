"""Reads the written seeds: `seeds/<language>/mood/*.txt` and `seeds/<language>/chat/*.txt`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from core.messages import Label, Locale

SEEDS = Path(__file__).parent / "seeds"
MoodSeeds: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]
"""The entries of each block by its heading: a label, "any" or "negated", and a kind such as "sentence" or "word"."""
Slots: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question in several wordings, and the answers that fit each of them.

    Where `gap` is set, other exchanges may stand between this step and the one before it.
    """

    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A short dialogue. `mood` is that of its first question; `opens` keeps it at the start of a conversation."""

    steps: tuple[Step, ...]
    mood: Label | None = None
    opens: bool = False
    often: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """All that is written in one language."""

    mood: MoodSeeds
    blocks: tuple[Block, ...]
    slots: Slots


def read_seeds(language: Locale, root: Path = SEEDS) -> Seeds:
    """The seeds of one language, files in the order of their names. ValueError for a line that has no place."""
    chat = sorted((root / language / "chat").glob("*.txt"))
    slots = [path for path in chat if path.name == "slots.txt"]
    return Seeds(
        mood=parse_mood(_lines(sorted((root / language / "mood").glob("*.txt")))),
        blocks=tuple(block for path in chat if path not in slots for block in parse_chat(path.read_text("utf-8"))),
        slots=parse_slots(_lines(slots)),
    )


def parse_mood(lines: Iterator[str]) -> MoodSeeds:
    """Blocks headed `# label kind`, one entry a line; the same heading may stand in several files."""
    entries: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    heading: tuple[str, str] | None = None
    for line in lines:
        if line.startswith("# "):
            heading = _heading(line)
        elif heading is None:
            raise ValueError(f"an entry before the first heading: {line!r}")
        else:
            entries[heading][line] = None
    return {heading: tuple(lines) for heading, lines in entries.items()}


def parse_chat(text: str) -> Iterator[Block]:
    """Blocks between blank lines: `Q:`/`U:` asks, `A:`/`B:` answers, `...` marks a gap, `@` lines say how to use it."""
    for chunk in "\n".join(line.strip() for line in text.splitlines() if not line.startswith("#")).split("\n\n"):
        if chunk.strip():
            yield _block(chunk.strip().splitlines())


def parse_slots(lines: Iterator[str]) -> Slots:
    """Lines `name: value, value`; Chinese commas separate values too."""
    slots: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in lines:
        name, _, values = line.partition(":")
        parts = values.replace("，", ",").replace("、", ",").split(",")
        slots[name.strip()] += tuple(part.strip() for part in parts if part.strip())
    return dict(slots)


def _lines(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        yield from (line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())


def _heading(line: str) -> tuple[str, str]:
    label, _, kind = line.removeprefix("# ").partition(" ")
    if label not in {*Label, "any", "negated"} or not kind.isidentifier():
        raise ValueError(f"not a heading: {line!r}")
    return label, kind


def _block(lines: list[str]) -> Block:
    flags = [line[1:] for line in lines if line.startswith("@")]
    mood = next((Label(flag) for flag in flags if flag in set(Label)), None)
    steps: list[Step] = [Step()]
    for line in lines:
        if not line.startswith("@"):
            steps[-1:] = _read(steps[-1], line)
    if not all(step.questions and step.answers for step in steps):
        raise ValueError(f"a question or an answer is missing: {lines}")
    return Block(steps=tuple(steps), mood=mood, opens="opens" in flags, often="often" in flags)


def _read(step: Step, line: str) -> tuple[Step, ...]:
    mark, text = line[:2], line[2:].strip()
    if line == "...":
        return step, Step(gap=True)
    if mark in {"Q:", "U:"} and step.answers:
        return step, Step(questions=(text,))
    if mark in {"Q:", "U:"}:
        return (replace(step, questions=(*step.questions, text)),)
    if mark in {"A:", "B:"}:
        return (replace(step, answers=(*step.answers, text)),)
    raise ValueError(f"not a line of a chat block: {line!r}")
