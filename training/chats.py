"""Chat samples: conversations composed of short dialogues from the seeds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from random import Random

from core.messages import Exchange, Label, Locale, Mood
from core.prompt import ChatMessage, Persona, chat_prompt
from training.augment import augment_question
from training.chance import likely
from training.moods import SLOT, MoodWriter
from training.questions import MOOD_SLOTS
from training.sample import LANGUAGES, Sample
from training.script import language_by_script
from training.seeds import Block, Seeds

EXCHANGES = (1, 1, 1, 2, 2, 3, 4, 6, 10)
"""Exchanges in a conversation, chosen uniformly; about one conversation in thirty is longer."""
MIXED_SLOTS = {"name", "order"}
"""Slots half of whose values are mixed from two written ones."""
OFTEN_WEIGHT = 15
"""Weight of a dialogue marked `@often`; the weight of any other is the square root of its number of wordings."""


class ChatWriter:
    """Generates conversations in one language or both, with random personas."""

    def __init__(
        self, seeds: Mapping[Locale, Seeds], personas: Sequence[Persona], moods: MoodWriter, rng: Random
    ) -> None:
        self._seeds = seeds
        self._personas = personas
        self._moods = moods
        self._rng = rng

    def samples(self) -> Iterator[Sample]:
        """Endless conversations of 1 to 10 exchanges, with about 3 % of 11 to 22."""
        while True:
            yield self._conversation()

    def _conversation(self) -> Sample:
        rng = self._rng
        locale = rng.choice(LANGUAGES)
        language = locale if likely(rng, 0.8) else rng.choice(LANGUAGES)
        wanted = rng.choice(EXCHANGES) if likely(rng, 0.97) else rng.randint(11, 22)
        exchanges: list[Exchange] = []
        mood: Label | None = None
        while len(exchanges) < wanted:
            # Some messages change the language, so that the answer learns to follow the message.
            spoken = language if likely(rng, 0.93) else rng.choice(LANGUAGES)
            block = self._block(spoken, opening=not exchanges)
            exchanges.extend(self._exchanges(block, spoken))
            mood = block.mood if len(block.steps) == 1 else None
        *history, last = exchanges
        persona = rng.choice(self._personas) if likely(rng, 0.6) else self._personas[0]
        own = language_by_script(last.question) or locale
        # The persona may be in another language than the message and its mood hint; the answer follows the message.
        _, *messages = chat_prompt(persona, own, history, last.question, self._mood_hint(mood))
        # Some prompts have no system message, as requests of other clients of the model server may not.
        system = () if likely(rng, 0.06) else (ChatMessage(role="system", content=persona.system[locale]),)
        return Sample(prompt=(*system, *messages), answer=last.answer)

    def _mood_hint(self, mood: Label | None) -> Mood | None:
        """The given mood, often replaced by a random one or none, so that the answer depends on the message."""
        if likely(self._rng, 0.3):
            return Mood(label=self._rng.choice(list(Label)), confidence=1.0)
        return Mood(label=mood, confidence=1.0) if mood and likely(self._rng, 0.7) else None

    def _block(self, language: Locale, *, opening: bool) -> Block:
        blocks = [block for block in self._seeds[language].blocks if opening or not block.opens]
        return self._rng.choices(blocks, [_weight(block) for block in blocks])[0]

    def _exchanges(self, block: Block, language: Locale) -> Iterator[Exchange]:
        """The steps of a dialogue with one wording each. A slot has the same value in all of them."""
        values: dict[str, str] = {}
        fill = partial(SLOT.sub, partial(self._value, values, language))
        for step in block.steps:
            for _ in range(self._rng.choice((0, 0, 1, 1, 2, 3, 5)) if step.gap else 0):
                yield from self._filler(language)
            question, answer = self._rng.choice(step.questions), self._rng.choice(step.answers)
            varied = augment_question(fill(question), language, self._rng, keep_words="{" in question)
            yield Exchange(question=varied, answer=fill(answer), tokens=0)

    def _filler(self, language: Locale) -> Iterator[Exchange]:
        """One unrelated exchange for a gap, or none if the chosen dialogue would not fit there."""
        block = self._block(language, opening=False)
        if len(block.steps) == 1 and "{name}" not in block.steps[0].questions[0]:
            yield from self._exchanges(block, language)

    def _value(self, values: dict[str, str], language: Locale, match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            values[name] = (
                self._moods.plain(language, MOOD_SLOTS[name]) if name in MOOD_SLOTS else self._slot(language, name)
            )
        return values[name]

    def _slot(self, language: Locale, name: str) -> str:
        value = self._rng.choice(self._seeds[language].slots[name])
        if name not in MIXED_SLOTS or likely(self._rng, 0.5):
            return value
        # A mix of two values is new, so the model learns to copy it from the conversation.
        other = self._rng.choice(self._seeds[language].slots[name])
        return value[: (len(value) + 1) // 2] + other[len(other) // 2 :]


def _weight(block: Block) -> float:
    return OFTEN_WEIGHT if block.often else len(block.steps[0].questions) ** 0.5
