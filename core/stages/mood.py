"""Detects the mood of the message, for the prompt and for the reply."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from cachetools import LRUCache

from core.language import language_of
from core.messages import Label, Locale, Mood, Reply, Turn
from core.mood import CONTENT_FREE, decide, label_logprobs, mood_prompt
from core.pipeline import Handler, Stage
from core.prompt import Prompt
from core.text import digest


def mood(reader: "MoodReader") -> Stage:
    """The stage that detects the mood, with a prompt that contains this message only."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        read = await reader.read(turn.message.text, turn.locale)
        reply = await call_next(replace(turn, mood=read))
        return replace(reply, mood=read)

    return stage


class FirstTokenModel(Protocol):
    """The one method of `Engine` that mood detection needs."""

    async def first_token(self, prompt: Prompt) -> Mapping[bytes, float]:
        """The most likely first tokens of a reply, as bytes, with their log-probabilities."""


class MoodReader:
    """Detects moods with a model, and caches the last `size` of them by the text's digest."""

    def __init__(self, model: FirstTokenModel, *, size: int = 4096) -> None:
        self._model = model
        self._bias: dict[Locale, Mapping[Label, float]] = {}
        self._moods: LRUCache[bytes, Mood] = LRUCache(size)

    async def read(self, text: str, locale: Locale) -> Mood:
        """The mood of a text. The prompt is in the text's own language, or in `locale` if it has none."""
        language = language_of(text) or locale
        key = digest(f"{language} {text}")
        if key not in self._moods:
            self._moods[key] = decide(await self._logprobs(text, language), await self._bias_of(language))
        return self._moods[key]

    async def _bias_of(self, language: Locale) -> Mapping[Label, float]:
        if language not in self._bias:
            self._bias[language] = await self._logprobs(CONTENT_FREE[language], language)
        return self._bias[language]

    async def _logprobs(self, text: str, language: Locale) -> Mapping[Label, float]:
        return label_logprobs(await self._model.first_token(mood_prompt(text, language)), language)
