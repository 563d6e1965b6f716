"""Frequent questions of made-up businesses, with what people ask them: the data of the search of the knowledge."""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.knowledge.folder import Source
from core.knowledge.passages import Passage
from core.knowledge.readers import read_passages
from core.messages import Locale
from training.sample import LANGUAGES

FOLDER = Path(__file__).parent / "faq"
"""The businesses to learn from: "clinic.toml" has the answers, "clinic.tsv" the questions."""
ELSEWHERE = FOLDER / "elsewhere.tsv"
"""Questions that none of them answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and the entry that answers it; None if there is none."""

    language: Locale
    text: str
    entry: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faq:
    """A business' answers in one language, and questions in that language."""

    name: str
    passages: tuple[Passage, ...]
    asked: tuple[Asked, ...]

    def without(self, entries: Collection[str]) -> "Faq":
        """The same business, had it never written these answers."""
        kept = tuple(passage for passage in self.passages if passage.entry not in entries)
        asked = tuple(replace(one, entry=None) if one.entry in entries else one for one in self.asked)
        return replace(self, passages=kept, asked=asked)

    @property
    def language(self) -> Locale:
        return self.asked[0].language

    def row(self, asked: Asked) -> int | None:
        """The number of the passage that answers."""
        return next((row for row, passage in enumerate(self.passages) if passage.entry == asked.entry), None)


def read_faq(answers: Path, questions: Path, language: Locale) -> Faq:
    """A business in one language."""
    passages = read_passages([Source(name=answers.name, content=answers.read_bytes())])
    asked = read_asked(questions, answers.name)
    return Faq(
        name=answers.stem,
        passages=tuple(passage for passage in passages if passage.language == language),
        asked=tuple(one for one in asked if one.language == language),
    )


def read_asked(path: Path, corpus: str) -> list[Asked]:
    """Questions of a TSV file. The column `entry` counts the corpus' entries from 1, and may be empty or missing."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Asked(
                language="zh" if row["language"] == "zh" else "en",
                text=row["text"],
                entry=f"{corpus}#{row['entry']}" if row.get("entry") else None,
            )
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


POLITE: Mapping[Locale, Sequence[str]] = {
    "en": ("hi, {}", "{} please", "Could you tell me, {}", "{} Thanks!"),
    "zh": ("你好，{}", "请问{}", "麻烦问下，{}", "{}谢谢"),
}


def _politely(faq: Faq) -> list[Asked]:
    """A wording of each entry with a few more words: many people ask like that."""
    forms = POLITE[faq.language]
    return [
        Asked(language=faq.language, text=forms[row % len(forms)].format(one.wordings[-1]), entry=one.entry)
        for row, one in enumerate(faq.passages)
    ]


def read_faqs() -> list[Faq]:
    """All businesses to learn from, a `Faq` for each language, with their own wordings asked politely, and with the
    questions from elsewhere.
    """
    elsewhere = read_asked(ELSEWHERE, "")
    faqs = [
        read_faq(path, path.with_suffix(".tsv"), language)
        for path in sorted(FOLDER.glob("*.toml"))
        for language in LANGUAGES
    ]
    return [
        replace(faq, asked=(*faq.asked, *_politely(faq), *(one for one in elsewhere if one.language == faq.language)))
        for faq in faqs
    ]


def folds(faqs: Sequence[Faq], count: int) -> list[list[str]]:
    """The names of the businesses, dealt out."""
    names = sorted({faq.name for faq in faqs})
    return [names[start::count] for start in range(count)]
