"""Reads the seed texts: `seeds/<language>/mood/*.txt` and `seeds/<language>/chat/*.txt`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from core.messages import Label, Locale

SEEDS = Path(__file__).parent / "seeds"
MoodSeeds: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]
"""Entries by heading. A heading is a label, "any" or "negated", and a kind such as "sentence" or "word"."""
Slots: TypeAlias = Mapping[str, tuple[str, ...]]
"""Values by slot name: "{name}" in a dialogue is replaced with one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question in several wordings; each of the answers fits each of the wordings.

    `gap` allows other exchanges between the previous step and this one.
    """

    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A short dialogue. `mood` is the mood of its first question.

    `opens` allows it only at the start of a conversation; `often` gives it a high weight. `greeting` marks greetings
    and other short messages with which people change the language. `unknown` marks questions outside the model's
    domain; they are neutral.
    """

    steps: tuple[Step, ...]
    mood: Label | None = None
    opens: bool = False
    often: bool = False
    greeting: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """The seed texts of one language."""

    mood: MoodSeeds
    blocks: tuple[Block, ...]
    slots: Slots


def read_seeds(language: Locale, root: Path = SEEDS) -> Seeds:
    """Seeds of one language, files in alphabetical order. Raises ValueError if a line is malformed."""
    chat = sorted((root / language / "chat").glob("*.txt"))
    slots = [path for path in chat if path.stem.startswith("slots")]
    return Seeds(
        mood=parse_mood(_lines(sorted((root / language / "mood").glob("*.txt")))),
        blocks=tuple(block for path in chat if path not in slots for block in parse_chat(path.read_text("utf-8"))),
        slots=parse_slots(_lines(slots)),
    )


def parse_mood(lines: Iterator[str]) -> MoodSeeds:
    """Entries below headings of the form `# label kind`, one per line. Entries of equal headings are merged, without
    repeats.
    """
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
    """Dialogues separated by blank lines. `Q:` and `U:` begin a question, `A:` and `B:` an answer.

    `...` marks a gap, `@` gives the mood or a flag of the dialogue, `#` begins a comment. A backslash and an n are a
    line break.
    """
    for chunk in "\n".join(line.strip() for line in text.splitlines() if not line.startswith("#")).split("\n\n"):
        if chunk.strip():
            yield _block(chunk.strip().splitlines())


def parse_slots(lines: Iterator[str]) -> Slots:
    """Values by slot. A line `name: value, value` names a slot; Chinese commas separate values too. A line `- value`
    adds a value, which may contain commas and slots, to the slot above.
    """
    slots: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    name = ""
    for line in lines:
        if line.startswith("- "):
            slots[name] += (_unescaped(line[2:]),)
        else:
            name, _, values = line.partition(":")
            parts = values.replace("，", ",").replace("、", ",").split(",")
            slots[name] += tuple(part.strip() for part in parts if part.strip())
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
    mood = next((Label(flag) for flag in flags if flag in set(Label)), Label.NEUTRAL if "unknown" in flags else None)
    steps: list[Step] = [Step()]
    for line in lines:
        if not line.startswith("@"):
            steps[-1:] = _add_line(steps[-1], line)
    if not all(step.questions and step.answers for step in steps):
        raise ValueError(f"a question or an answer is missing: {lines}")
    return Block(
        steps=tuple(steps),
        mood=mood,
        opens="opens" in flags,
        often="often" in flags,
        greeting="greeting" in flags,
        unknown="unknown" in flags,
    )


def _add_line(step: Step, line: str) -> tuple[Step, ...]:
    """The step with the line added, followed by a new step if the line begins one."""
    mark, text = line[:2], _unescaped(line[2:].strip())
    if line == "...":
        return step, Step(gap=True)
    if mark in {"Q:", "U:"} and step.answers:
        return step, Step(questions=(text,))
    if mark in {"Q:", "U:"}:
        return (replace(step, questions=(*step.questions, text)),)
    if mark in {"A:", "B:"}:
        return (replace(step, answers=(*step.answers, text)),)
    raise ValueError(f"not a line of a chat block: {line!r}")


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n")
