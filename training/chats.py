"""Chat samples: blocks of written dialogue strung together into conversations."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from random import Random

from core.messages import Exchange, Label, Locale, Mood
from core.prompt import Persona, chat_prompt
from training.asked import FELT
from training.augment import ask
from training.chance import likely
from training.moods import SLOT, MoodWriter
from training.sample import LANGUAGES, Sample
from training.seeds import Block, Seeds

LENGTHS = (1, 1, 1, 2, 2, 3, 4, 6, 10)
CROSSED = {"name", "order"}
OFTEN = 15
"""The weight of a block marked `@often`; others weigh the root of their number of wordings."""


class ChatWriter:
    """Writes conversations in one language or both, for any persona."""

    def __init__(
        self, seeds: Mapping[Locale, Seeds], personas: Sequence[Persona], moods: MoodWriter, rng: Random
    ) -> None:
        self._seeds = seeds
        self._personas = personas
        self._moods = moods
        self._rng = rng

    def samples(self) -> Iterator[Sample]:
        """Conversations of one to ten exchanges without end, now and then a long one."""
        while True:
            yield self._conversation()

    def _conversation(self) -> Sample:
        rng = self._rng
        locale = rng.choice(LANGUAGES)
        language = locale if likely(rng, 0.8) else rng.choice(LANGUAGES)
        wanted = rng.choice(LENGTHS) if likely(rng, 0.97) else rng.randint(11, 22)
        exchanges: list[Exchange] = []
        mood: Label | None = None
        while len(exchanges) < wanted:
            # Another language now and then: the answer follows the message, not the conversation.
            spoken = language if likely(rng, 0.93) else rng.choice(LANGUAGES)
            block = self._block(spoken, opening=not exchanges)
            exchanges.extend(self._exchanges(block, spoken))
            mood = block.mood if len(block.steps) == 1 else None
        *history, last = exchanges
        persona = rng.choice(self._personas) if likely(rng, 0.6) else self._personas[0]
        prompt = chat_prompt(persona, locale, history, last.question, self._hinted(mood))
        # Some have no system message, as other clients of the model server ask.
        return Sample(prompt=prompt[1:] if likely(rng, 0.06) else prompt, answer=last.answer)

    def _hinted(self, mood: Label | None) -> Mood | None:
        """The mood the product would have read, sometimes none and often wrong: the message decides, not the hint."""
        if likely(self._rng, 0.3):
            return Mood(label=self._rng.choice(list(Label)), confidence=1.0)
        return Mood(label=mood, confidence=1.0) if mood and likely(self._rng, 0.7) else None

    def _block(self, language: Locale, *, opening: bool) -> Block:
        blocks = [block for block in self._seeds[language].blocks if opening or not block.opens]
        return self._rng.choices(blocks, [_weight(block) for block in blocks])[0]

    def _exchanges(self, block: Block, language: Locale) -> Iterator[Exchange]:
        """The block's steps with one wording each; its slots have the same values from the first to the last."""
        values: dict[str, str] = {}
        fill = partial(SLOT.sub, partial(self._value, values, language))
        for step in block.steps:
            for _ in range(self._rng.choice((0, 0, 1, 1, 2, 3, 5)) if step.gap else 0):
                yield from self._filler(language)
            question, answer = self._rng.choice(step.questions), self._rng.choice(step.answers)
            asked = ask(fill(question), language, self._rng, exact="{" in question)
            yield Exchange(question=asked, answer=fill(answer), tokens=0)

    def _filler(self, language: Locale) -> Iterator[Exchange]:
        block = self._block(language, opening=False)
        if len(block.steps) == 1 and "{name}" not in block.steps[0].questions[0]:
            yield from self._exchanges(block, language)

    def _value(self, values: dict[str, str], language: Locale, match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            values[name] = self._moods.plain(language, FELT[name]) if name in FELT else self._slot(language, name)
        return values[name]

    def _slot(self, language: Locale, name: str) -> str:
        value = self._rng.choice(self._seeds[language].slots[name])
        if name not in CROSSED or likely(self._rng, 0.5):
            return value
        # Half of one and half of another: what is repeated later must be read, not known.
        other = self._rng.choice(self._seeds[language].slots[name])
        return value[: (len(value) + 1) // 2] + other[len(other) // 2 :]


def _weight(block: Block) -> float:
    return OFTEN if block.often else len(block.steps[0].questions) ** 0.5
