"""The intent of a message: what its sender wants, computed from the likelihood of these labels.

It costs a forward pass, so that stages read it only of messages for which it decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from core.classifier import Classifier, LabelModel
from core.labels import LabelPrompt, decide, load_prompts
from core.messages import Locale


class Intent(StrEnum):
    """The six intents. A person is a wish to talk to a human; other is an order, a statement or anything else."""

    PERSON = "person"
    COMPLAINT = "complaint"
    QUESTION = "question"
    SMALLTALK = "smalltalk"
    THANKS = "thanks"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentReading:
    """The intent of one message; `confidence` is the calibrated probability of the label, 0 to 1."""

    label: Intent
    confidence: float


@cache
def intent_prompts() -> Mapping[Locale, LabelPrompt[Intent]]:
    """The prompts that ask for the intent of a text, by language."""
    return load_prompts("intent", Intent)


class IntentReader:
    """Reads intents with a model."""

    def __init__(self, model: LabelModel) -> None:
        self._classifier = Classifier(model, intent_prompts())

    async def read(self, text: str, locale: Locale) -> IntentReading:
        """The intent of a text; `locale` is the language of the prompt if the text has none.

        It is other if two are almost equally likely, with confidence 0 if the model reports no log-probabilities.
        """
        label, confidence = decide(await self._classifier.classify(text, locale), Intent.OTHER)
        return IntentReading(label=label, confidence=confidence)

    async def calibrate(self, folder: Path) -> None:
        """Measure the model's bias, see `Classifier.calibrate`."""
        await self._classifier.calibrate(folder)
