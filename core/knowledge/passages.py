"""The vocabulary of knowledge: what a search runs over, and what it finds."""

from dataclasses import dataclass

from core.messages import Locale


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """An answer of an FAQ, or a section of a document.

    `id` names it in a file: "faq.toml#3.en" or "returns.md#2". `entry` is the same for all languages of an FAQ entry,
    "faq.toml#3". `language` is None if the text does not tell it.
    `wordings` are the questions of an FAQ entry, none for a document. `file` is relative to the folder. `heading` is
    the path of headings above a section, or the first wording of an FAQ entry. `is_answer` says that the text was
    written as the whole answer, so that it can be said word for word.
    """

    id: str
    entry: str
    language: Locale | None
    wordings: tuple[str, ...] = ()
    text: str
    file: str
    heading: str
    is_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Smallest scores of a match that answers word for word, of one that the model's answer may rest on, and of the
    best match of a question for which the questions of the matches are suggested.
    """

    answer: float
    ground: float
    suggest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A passage that was found. `score` is the estimated probability that it answers the question, which `thresholds`
    judge, those of answers or those of documents.

    `coverage` is the share of the question's information that stands in the passage or a wording of it. `cosine` is the
    likeness of meaning, and None without the extra "semantic".
    """

    passage: Passage
    score: float
    thresholds: Thresholds
    coverage: float
    cosine: float | None = None

    @property
    def is_answer(self) -> bool:
        """Whether it can be said word for word, without the model."""
        return self.passage.is_answer and self.score >= self.thresholds.answer

    @property
    def is_ground(self) -> bool:
        """Whether the model's answer may rest on it."""
        return self.score >= self.thresholds.ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The best matches for a question, the best first. `version` is that of the knowledge that was searched."""

    question: str
    matches: tuple[Match, ...]
    version: str

    @property
    def confident(self) -> Match | None:
        """The best match, if it is an answer that can be said word for word without the model."""
        return next((match for match in self.matches[:1] if match.is_answer), None)

    @property
    def grounds(self) -> tuple[Match, ...]:
        """The matches that the model's answer may rest on. If there are none, the knowledge has no answer."""
        return tuple(match for match in self.matches if match.is_ground)

    @property
    def suggestions(self) -> tuple[str, ...]:
        """Questions that have an answer and may have been meant, the likeliest first; none if none is likely."""
        answers = [match for match in self.matches if match.passage.is_answer]
        if not answers or answers[0].score < answers[0].thresholds.suggest:
            return ()
        return tuple(match.passage.heading for match in answers)
