"""Mood samples: seeds combined by templates, contrasts and joins, then augmented."""

import re
from collections.abc import Iterator, Mapping
from random import Random

from core.language import language_of
from core.messages import Label, Locale
from core.mood import mood_prompts
from training.augment import END_MARKS, augment_mood_text
from training.chance import likely, pick
from training.phrases import ALTHOUGH, BUTS, EMOJI, INJECTIONS, JOINS
from training.sample import LANGUAGES, Sample
from training.seeds import MoodSeeds
from training.slots import INTEGER, fill, random_integer, slot_names

MIXTURE = {"sentence": 42, "clause": 10, "question": 16, "template": 18, "contrast": 8, "join": 10}
"""Weights of the ways to make a text."""
OPPOSITE = {Label.POSITIVE: Label.NEGATIVE, Label.NEGATIVE: Label.POSITIVE}


class MoodWriter:
    """Generates texts with a given label from the seeds of both languages."""

    def __init__(self, seeds: Mapping[Locale, MoodSeeds], rng: Random) -> None:
        self._seeds = seeds
        self._rng = rng
        self._templates = {
            (language, heading, label): tuple(_fillable(seeds[language], heading, label))
            for language in seeds
            for heading in (*Label, "any", "negated")
            for label in Label
        }

    def samples(self) -> Iterator[Sample]:
        """Endless samples, with the three labels equally often."""
        while True:
            language = self._rng.choice(LANGUAGES)
            label = self._rng.choice(list(Label))
            yield _sample(self._mood_text(language, label), language, label)

    def plain(self, language: Locale, label: Label) -> str:
        """A sentence or clause with that label, not augmented. A neutral one is never a question."""
        kinds = ("clause",) if label is Label.NEUTRAL else ("sentence", "clause")
        return self._entry(language, label, self._rng.choice(kinds))

    def _mood_text(self, language: Locale, label: Label) -> str:
        if likely(self._rng, 0.006):
            return "".join(self._rng.choices(EMOJI[label].split(), k=self._rng.randint(1, 2)))
        text = augment_mood_text(self._plain_text(language, label), language, self._rng, label)
        return self._with_injection(text, language) if likely(self._rng, 0.03) else text

    def _plain_text(self, language: Locale, label: Label) -> str:
        match pick(self._rng, MIXTURE):
            case "template":
                return self._templated(language, label)
            case "contrast" if label in OPPOSITE:
                return self._contrast(language, label)
            case "sentence" | "clause" | "question" as kind:
                return self._entry(language, label, kind)
            case _:
                return self._joined(language, label)

    def _entry(self, language: Locale, label: Label, kind: str) -> str:
        return self._fill(self._rng.choice(self._seeds[language][label, kind]), language, label)

    def _templated(self, language: Locale, label: Label) -> str:
        """A filled template: of this label, of the opposite label negated, or one that takes words of any label."""
        if label in OPPOSITE and likely(self._rng, 0.2):
            return self._template(language, "negated", OPPOSITE[label])
        return self._template(language, label if likely(self._rng, 0.4) else "any", label)

    def _template(self, language: Locale, heading: str, words: Label) -> str:
        return self._fill(self._rng.choice(self._templates[language, heading, words]), language, words)

    def _contrast(self, language: Locale, label: Label) -> str:
        """Two clauses of opposite labels, such as "weak, but meant": the second decides."""
        weak, meant = self._clause(language, OPPOSITE[label]), self._clause(language, label)
        if likely(self._rng, 0.25):
            before, between = self._rng.choice(ALTHOUGH[language])
            return before + weak + between + meant
        return weak + self._rng.choice(BUTS[language]) + meant

    def _joined(self, language: Locale, label: Label) -> str:
        """A clause and a second one with the same label or a neutral one. If the label is neutral both are."""
        clauses = [self._clause(language, self._rng.choice((label, Label.NEUTRAL))), self._clause(language, label)]
        if label is not Label.NEUTRAL:
            self._rng.shuffle(clauses)
        return self._rng.choice(JOINS[language]).join(clauses)

    def _clause(self, language: Locale, label: Label) -> str:
        if likely(self._rng, 0.3):
            return self._templated(language, label).rstrip(END_MARKS)
        return self._entry(language, label, "clause").rstrip(END_MARKS)

    def _with_injection(self, text: str, language: Locale) -> str:
        """The text with a prompt injection that demands a random label. The true label stays."""
        word = self._rng.choice(self._rng.choice(list(mood_prompts()[language].words.values())))
        demand = self._rng.choice(INJECTIONS[language]).format(word=word)
        return self._rng.choice((f"{text} {demand}", f"{demand}. {text}", f"{text} ({demand})", f"{text}\n{demand}"))

    def _fill(self, text: str, language: Locale, label: Label) -> str:
        mood = self._seeds[language]

        def value(match: re.Match[str]) -> str:
            kind = match[1]
            if kind == INTEGER:
                return random_integer(self._rng)
            if kind in set(Label):
                return self.plain(language, Label(kind))
            return self._rng.choice(mood.get((label, kind)) or mood["any", kind])

        return fill(text, value)


def _fillable(seeds: MoodSeeds, heading: str, label: Label) -> Iterator[str]:
    """Templates of a heading that can be filled: each slot has words of this label or of "any"."""
    for template in seeds.get((heading, "template"), ()):
        kinds = slot_names(template) - {INTEGER}
        if all((label, kind) in seeds or ("any", kind) in seeds for kind in kinds):
            yield template


def _sample(text: str, language: Locale, label: Label) -> Sample:
    asked = mood_prompts()[language_of(text) or language]
    return Sample(prompt=asked.ask(text), answer=asked.words[label][0], shared=len(asked.opening))
