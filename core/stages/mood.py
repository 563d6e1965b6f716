"""Detects the mood of the message, for the prompt and for the reply."""

from dataclasses import replace
from pathlib import Path

from core.classifier import Classifier, LabelModel
from core.messages import Locale, Mood, Reply, Turn
from core.mood import mood_of, mood_prompts
from core.pipeline import Handler, Stage


def mood(reader: "MoodReader") -> Stage:
    """The stage that detects the mood of the sender's own words, with a prompt that contains nothing else.

    A message without own words, such as a forwarded one, has no mood.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        if not turn.message.text:
            return await call_next(turn)
        read = await reader.read(turn.message.text, turn.locale)
        reply = await call_next(replace(turn, mood=read))
        return replace(reply, mood=read)

    return stage


class MoodReader:
    """Detects moods with a model."""

    def __init__(self, model: LabelModel) -> None:
        self._classifier = Classifier(model, mood_prompts())

    async def read(self, text: str, locale: Locale) -> Mood:
        """The mood of a text; `locale` is the language of the prompt if the text has none."""
        return mood_of(await self._classifier.classify(text, locale))

    async def calibrate(self, folder: Path) -> None:
        """Measure the model's bias, see `Classifier.calibrate`."""
        await self._classifier.calibrate(folder)
