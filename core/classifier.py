"""Classifies texts with a model. The model's bias is measured once and kept in a file."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from cachetools import LRUCache
from pydantic import TypeAdapter

from core.labels import LabelPrompt, bias_of, shares
from core.language import language_of
from core.messages import Locale
from core.prompt import Prompt
from core.text import digest

L = TypeVar("L", bound=StrEnum)
OWNER = "labels"
"""The user of all classifications: their prompts share the examples in the model server's prefix cache."""
REMEMBERED = 1_024
"""Texts whose likelihoods are kept, the latest ones: half a kilobyte each."""
_FILE: Final = TypeAdapter(dict[Locale, dict[str, float]])


class LabelModel(Protocol):
    """The methods of `Engine` that a classification needs."""

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        """The most likely first tokens of a reply, as bytes, with their log-probabilities; empty if none are known."""

    async def identity(self) -> str:
        """The model's name and version."""


class Classifier(Generic[L]):
    """Probabilities of labels, by the prompt in the text's language. The latest texts are cached by their digest.

    Until `calibrate` has returned, the model counts as unbiased.
    """

    def __init__(self, model: LabelModel, prompts: Mapping[Locale, LabelPrompt[L]]) -> None:
        self._model = model
        self._prompts = prompts
        self._bias: Mapping[Locale, Mapping[L, float]] = {}
        self._cache: LRUCache[bytes, Mapping[L, float]] = LRUCache(REMEMBERED)

    async def classify(self, text: str, locale: Locale) -> Mapping[L, float]:
        """Probability of each label; empty if the model reports no log-probabilities.

        The prompt is in the text's own language, or in `locale` if it has none.
        """
        language = language_of(text) or locale
        key = digest(f"{language} {text}")
        if key not in self._cache:
            self._cache[key] = self._prompts[language].logprobs(await self._first_token(text, language))
        found = self._cache[key]
        return shares(found, self._bias.get(language, {})) if found else {}

    async def calibrate(self, folder: Path) -> None:
        """Measure the model's bias, or read it from `folder` if it was measured before. Raises EngineErrors.

        Measuring takes one prompt per unlabelled text, one after the other: a few seconds with half a billion weights.
        """
        path = folder / f"{digest(f'{await self._model.identity()} {self._prompts!r}').hex()}.json"
        self._bias = self._kept(path) or await self._measure(path)

    def _kept(self, path: Path) -> Mapping[Locale, Mapping[L, float]] | None:
        """The bias in a file; None if there is none or it is damaged."""
        try:
            found = _FILE.validate_json(path.read_bytes())
            return {
                language: {label: own[label] for label in self._prompts[language].words}
                for language, own in found.items()
            }
        except (OSError, ValueError, KeyError):
            return None

    async def _measure(self, path: Path) -> Mapping[Locale, Mapping[L, float]]:
        bias: dict[Locale, Mapping[L, float]] = {}
        for language, prompt in self._prompts.items():
            known: list[Mapping[L, float]] = []
            for text in prompt.unlabelled:
                if not (tokens := await self._first_token(text, language)):
                    return {}  # the server reports none, so the other texts need not be asked
                if logprobs := prompt.logprobs(tokens):
                    known.append(logprobs)
            if known:
                bias[language] = bias_of(known)
        _write(path, bias)
        return bias

    async def _first_token(self, text: str, language: Locale) -> Mapping[bytes, float]:
        return await self._model.first_token(self._prompts[language].ask(text), user=OWNER)


def _write(path: Path, bias: Mapping[Locale, Mapping[L, float]]) -> None:
    """Replace the file, so that it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(bias, indent=1), "utf-8")
    unfinished.replace(path)
