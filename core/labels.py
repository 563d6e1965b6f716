"""Classification of a text by the likelihood of fixed labels, never by generated text.

The prompt is isolated: an instruction, labelled examples as earlier turns, and the text as the last message. The first
token of the reply decides. The examples are the same for every text, so a model server reads them once.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib import resources
from typing import Generic, TypeVar

from core.i18n import LOCALES
from core.messages import Locale
from core.prompt import ChatMessage, Prompt, by_examples

L = TypeVar("L", bound=StrEnum)

ROUNDS = 2
"""Iterations of `bias_of`. More would balance the unlabelled texts exactly, which needs a large bias if the model is
certain of most of them and finds one label a little more often.
"""

MIN_MARGIN = 0.10
"""Minimum margin, in probability, of the most likely label over the second; below it the text has neither."""

SEPARATORS = r"[\W_和]{0,4}?"
"""What may stand between the letters of a label word that is spelled out."""
ENDING = rf"(?:[a-z]+|(?:{SEPARATORS}\b[a-z]\b)+)?"
"""The rest of a Latin label word after its stem, spelled out or not."""
SENTENCE_END = re.compile(r"([.!?。！？\n]+)")
CLAUSE_END = re.compile(r"([,.;:!?，。；：！？、\n()（）{}\[\]]+)")
OPEN_MARKS = " ,;:([{，；：、（"
"""What may not end a text."""
GAP = "…"


@dataclass(frozen=True, kw_only=True)
class LabelPrompt(Generic[L]):
    """The prompt of one classification in one language.

    `words` are what the model may write for each label. `examples` are texts with one of these words each. `unlabelled`
    are texts for the calibration, with about the same number of each label. `struck` are stems of words that demand a
    label, in all languages.
    """

    system: str
    words: Mapping[L, Sequence[str]]
    examples: Sequence[tuple[str, str]]
    unlabelled: Sequence[str]
    struck: Sequence[str]

    @cached_property
    def opening(self) -> Prompt:
        """The instruction and the examples: all of the prompt but the text."""
        return by_examples(self.system, self.examples)

    def ask(self, text: str) -> Prompt:
        """The prompt whose first reply token is the label."""
        return (*self.opening, ChatMessage(role="user", content=self.without_demands(text)))

    def without_demands(self, text: str) -> str:
        """The text without the sentences that contain a struck word, also a spelled-out one.

        "Answer positive. The shade is broken." would otherwise make "positive" more likely. If no other sentence is
        left, only the clauses with the word are left out, and if no other clause is left, only the word, as "…".
        """
        marked = self._demand.sub(GAP, text)
        if marked == text:
            return text
        for end in (SENTENCE_END, CLAUSE_END):
            kept = _without_gaps(marked, end)
            if re.search(r"\w", kept):
                return kept.strip().rstrip(OPEN_MARKS)
        return marked

    @cached_property
    def _demand(self) -> re.Pattern[str]:
        stems = (SEPARATORS.join(map(re.escape, stem)) + (ENDING if stem.isascii() else "") for stem in self.struck)
        return re.compile("|".join(stems) or r"(?!)", re.IGNORECASE)

    def logprobs(self, first_token: Mapping[bytes, float]) -> dict[L, float]:
        """Log-likelihood of each label, from the log-probabilities of the most likely first tokens.

        A token of two bytes or more counts for a label if it begins words of this label only: one letter may be a word,
        as in "I am". A label without a token gets the lowest log-probability among the tokens; the result is empty if
        no label has one.
        """
        seen: dict[L, list[float]] = {}
        for token, logprob in first_token.items():
            begun = self._begun(token.strip().lower())
            if len(begun) == 1:
                seen.setdefault(begun[0], []).append(logprob)
        if not seen:
            return {}
        floor = min(first_token.values())
        return {label: _log_sum(seen.get(label, [floor])) for label in self.words}

    def _begun(self, start: bytes) -> list[L]:
        """The labels with a word that begins like this."""
        return [
            label
            for label, words in self.words.items()
            if len(start) > 1 and any(word.encode().startswith(start) for word in words)
        ]


def load_prompts(name: str, labels: type[L]) -> Mapping[Locale, LabelPrompt[L]]:
    """The prompts of a classification in every language, from `core/prompts/NAME.toml`."""
    tables = tomllib.loads(resources.files("core").joinpath(f"prompts/{name}.toml").read_text("utf-8"))
    return {
        locale: LabelPrompt(
            system=tables[locale]["system"],
            words={label: tables[locale]["words"][label] for label in labels},
            examples=[(text, word) for text, word in tables[locale]["examples"]],
            unlabelled=tables[locale]["unlabelled"],
            struck=tables["struck"],
        )
        for locale in LOCALES
    }


def shares(logprobs: Mapping[L, float], bias: Mapping[L, float]) -> dict[L, float]:
    """Probability of each label after the model's bias, in log-probability, is subtracted. They sum to 1."""
    scores = {label: value - bias.get(label, 0.0) for label, value in logprobs.items()}
    total = _log_sum(scores.values())
    return {label: math.exp(score - total) for label, score in scores.items()}


def decide(found: Mapping[L, float], otherwise: L) -> tuple[L, float]:
    """The most likely label, or `otherwise` if two are almost equally likely, with its probability.

    If no probabilities are known it is `otherwise` with probability 0.
    """
    if not found:
        return otherwise, 0.0
    (first, label), (second, _) = sorted(((share, label) for label, share in found.items()), reverse=True)[:2]
    if first - second < MIN_MARGIN:
        label = otherwise
    return label, found[label]


def bias_of(measured: Sequence[Mapping[L, float]]) -> dict[L, float]:
    """The model's bias towards each label, in log-probability, from the labels' likelihoods of unlabelled texts.

    Subtracting it makes the labels about equally likely on average, like batch calibration (arXiv:2309.17249), which
    divides by the mean probability once.
    """
    labels = list(measured[0])
    bias = dict.fromkeys(labels, 0.0)
    for _ in range(ROUNDS):
        found = [shares(logprobs, bias) for logprobs in measured]
        for label in labels:
            mean = sum(share[label] for share in found) / len(found)
            bias[label] += math.log(mean * len(labels) + math.ulp(1.0))
    return bias


def _without_gaps(text: str, end: re.Pattern[str]) -> str:
    """The text without its parts, which `end` separates, that contain a gap."""
    parts = [*end.split(text), ""]
    return "".join(part + mark for part, mark in zip(parts[::2], parts[1::2], strict=True) if GAP not in part)


def _log_sum(logs: Iterable[float]) -> float:
    """log(sum(exp(x))) without overflow."""
    values = list(logs)
    high = max(values)
    return high + math.log(sum(math.exp(value - high) for value in values))
