"""Reads the evaluation's files: `mood.tsv`, `attacks.tsv` and `chat.toml`."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.messages import Label, Locale

BLIND = Path(__file__).parent / "evaluation"
"""Sentences that nobody who wrote the seeds has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A text, what it feels like to its reader and, where it begs for a label, which one it wants."""

    language: Locale
    label: Label
    text: str
    wanted: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, the patterns of which an answer has at least one, and those it has none of."""

    language: Locale
    text: str
    expect: Sequence[str]
    refuse: Sequence[str]

    def is_met_by(self, answer: str) -> bool:
        return _any(self.expect, answer) and not _any(self.refuse, answer)


def read_labelled(path: Path) -> list[Labelled]:
    """A file of tab-separated columns named in its first line. No quoting: a text runs to the end of its line."""
    names, *lines = (line.split("\t") for line in path.read_text("utf-8").splitlines())
    rows = [dict(zip(names, line, strict=True)) for line in lines]
    return [
        Labelled(
            language=_language(row["language"]),
            label=Label(row["label"]),
            text=row["text"],
            wanted=Label(row["wanted"]) if "wanted" in row else None,
        )
        for row in rows
    ]


def read_questions(path: Path) -> list[Question]:
    """The `[[question]]` tables of a TOML file."""
    return [
        Question(
            language=_language(row["language"]), text=row["text"], expect=row["expect"], refuse=row.get("refuse", ())
        )
        for row in tomllib.loads(path.read_text("utf-8"))["question"]
    ]


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def _language(text: str) -> Locale:
    return "zh" if text == "zh" else "en"
