"""Reads the files of the blind evaluation sets."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from core.intent import Intent
from core.messages import Label, Locale

L = TypeVar("L", bound=StrEnum)

BLIND = Path(__file__).parent / "evaluation"
"""The held-out evaluation sets. The authors of the seeds have not seen their sentences."""
MOODS = ("mood.tsv", "development.tsv", "heldout.tsv")
ATTACKS = ("attacks.tsv", "begging.tsv")
INTENTS = "intents.tsv"
QUESTIONS = ("chat.toml", "unknown.toml")
REMARKS = "messages.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled(Generic[L]):
    """A text and its true label. `wanted` is the label that a prompt injection in the text demands, if it has one."""

    language: Locale
    label: L
    text: str
    wanted: L | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to the bot. An answer passes if any regular expression of `expect` and none of `refuse` matches it."""

    language: Locale
    text: str
    expect: Sequence[str]
    refuse: Sequence[str]

    def accepts(self, answer: str) -> bool:
        return _matches_any(self.expect, answer) and not _matches_any(self.refuse, answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An everyday message with its mood. `follow_up` is a second one that leans on it, or empty."""

    language: Locale
    text: str
    label: Label = Label.NEUTRAL
    follow_up: str = ""


def read_labelled(path: Path) -> list[Labelled[Label]]:
    """Rows of a file of moods or of attacks."""
    return _labelled(path, "label", Label)


def read_intents(path: Path) -> list[Labelled[Intent]]:
    """Rows of `intents.tsv`."""
    return _labelled(path, "intent", Intent)


def read_remarks(path: Path) -> list[Remark]:
    """Rows of `messages.tsv`."""
    return [
        Remark(
            language=_language(row["language"]),
            label=Label(row["mood"]),
            text=row["text"],
            follow_up=row["follow_up"],
        )
        for row in _rows(path)
    ]


def read_questions(path: Path) -> list[Question]:
    """Questions of a TOML file, one `[[question]]` table each."""
    return [
        Question(
            language=_language(row["language"]), text=row["text"], expect=row["expect"], refuse=row.get("refuse", ())
        )
        for row in tomllib.loads(path.read_text("utf-8"))["question"]
    ]


def _labelled(path: Path, column: str, labels: type[L]) -> list[Labelled[L]]:
    return [
        Labelled(
            language=_language(row["language"]),
            label=labels(row[column]),
            text=row["text"],
            wanted=labels(row["wanted"]) if "wanted" in row else None,
        )
        for row in _rows(path)
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file whose first line names the columns. Nothing is quoted: a text ends with its line."""
    names, *lines = (line.split("\t") for line in path.read_text("utf-8").splitlines())
    return [dict(zip(names, line, strict=True)) for line in lines]


def _matches_any(patterns: Sequence[str], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def _language(text: str) -> Locale:
    return "zh" if text == "zh" else "en"
