"""Chat samples: conversations composed of short dialogues from the seeds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from random import Random

from core.language import language_of
from core.messages import Exchange, Label, Locale, Mood
from core.prompt import ChatMessage, Persona, chat_prompt
from training.augment import augment_question
from training.chance import likely
from training.moods import MoodWriter
from training.questions import MOOD_SLOTS
from training.sample import LANGUAGES, Sample
from training.seeds import Block, Seeds
from training.slots import INTEGER, fill, random_integer, slot_names

EXCHANGES = (1, 1, 1, 2, 2, 3, 4, 6, 10)
"""Exchanges in a conversation, chosen uniformly; about one conversation in thirty is longer."""
MIXED_SLOTS = {"name", "order", "term", "famous", "dish", "creature", "landform", "company", "tool"}
"""Slots half of whose values are mixed from two written ones."""
OFTEN_WEIGHT = 15
"""Weight of a dialogue marked `@often`; the weight of any other is the square root of its number of wordings."""
UNKNOWN_SHARE = 0.33
"""Share of the dialogues that begin with a question outside the model's domain."""
SWITCH_SHARE = 0.2
"""Chance that a dialogue is in another language than the one before it."""


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
        wanted = rng.choice(EXCHANGES) if likely(rng, 0.97) else rng.randint(11, 22)
        language = before = rng.choice(LANGUAGES)
        exchanges: list[Exchange] = []
        mood: Label | None = None
        while len(exchanges) < wanted:
            before = language
            if exchanges and likely(rng, SWITCH_SHARE):
                language = _other(language)
            block = self._block(language, opening=not exchanges, switching=language != before)
            exchanges.extend(self._exchanges(block, language))
            mood = block.mood if len(block.steps) == 1 else None
        *history, last = exchanges
        # The product keeps to the language before if the message has none, as a greeting of one Latin word.
        own = language_of(last.question) or before
        persona = rng.choice(self._personas) if likely(rng, 0.6) else self._personas[0]
        _, *messages = chat_prompt(persona, own, history, last.question, self._mood_hint(mood))
        # Some prompts have a system message in the other language or none, as requests of other clients of the model
        # server may. The answer follows the message.
        system = persona.system[own if likely(rng, 0.85) else _other(own)]
        head = () if likely(rng, 0.06) else (ChatMessage(role="system", content=system),)
        return Sample(prompt=(*head, *messages), answer=last.answer, shared=len(head))

    def _mood_hint(self, mood: Label | None) -> Mood | None:
        """The given mood, often replaced by a random one or none, so that the answer depends on the message."""
        if likely(self._rng, 0.3):
            return Mood(label=self._rng.choice(list(Label)), confidence=1.0)
        return Mood(label=mood, confidence=1.0) if mood and likely(self._rng, 0.7) else None

    def _block(self, language: Locale, *, opening: bool, switching: bool = False) -> Block:
        """A dialogue. One that changes the language is often a greeting."""
        unknown = likely(self._rng, UNKNOWN_SHARE)
        greeting = switching and not unknown and likely(self._rng, 0.6)
        blocks = [
            block
            for block in self._seeds[language].blocks
            if block.unknown == unknown and (opening or not block.opens) and (block.greeting or not greeting)
        ]
        return self._rng.choices(blocks, [_weight(block) for block in blocks])[0]

    def _exchanges(self, block: Block, language: Locale) -> Iterator[Exchange]:
        """The steps of a dialogue with one wording each. A slot has the same value in all of them."""
        values: dict[str, str] = {}
        value = partial(self._value, values, language)
        answered = {name for step in block.steps for answer in step.answers for name in slot_names(answer)}
        for step in block.steps:
            for _ in range(self._rng.choice((0, 0, 1, 1, 2, 3, 5)) if step.gap else 0):
                yield from self._filler(language)
            question, answer = self._rng.choice(step.questions), self._rng.choice(step.answers)
            is_copied = not answered.isdisjoint(slot_names(question))
            varied = augment_question(fill(question, value), language, self._rng, keep_words=is_copied)
            yield Exchange(question=varied, answer=fill(answer, value), tokens=0)

    def _filler(self, language: Locale) -> Iterator[Exchange]:
        """One unrelated exchange for a gap, or none if the chosen dialogue would not fit there."""
        block = self._block(language, opening=False)
        if len(block.steps) == 1 and "{name}" not in block.steps[0].questions[0]:
            yield from self._exchanges(block, language)

    def _value(self, values: dict[str, str], language: Locale, match: re.Match[str]) -> str:
        slot, name = match[0], match[1]
        if slot not in values:
            values[slot] = (
                self._moods.plain(language, MOOD_SLOTS[name]) if name in MOOD_SLOTS else self._slot(language, name)
            )
        return values[slot]

    def _slot(self, language: Locale, name: str) -> str:
        if name == INTEGER:
            return random_integer(self._rng)
        value = self._rng.choice(self._seeds[language].slots[name])
        if name not in MIXED_SLOTS or likely(self._rng, 0.5):
            return value
        # A mix of two values is new, so the model learns to copy it from the conversation.
        other = self._rng.choice(self._seeds[language].slots[name])
        return value[: (len(value) + 1) // 2] + other[len(other) // 2 :]


def _weight(block: Block) -> float:
    return OFTEN_WEIGHT if block.often else len(block.steps[0].questions) ** 0.5


def _other(language: Locale) -> Locale:
    return "zh" if language == "en" else "en"
