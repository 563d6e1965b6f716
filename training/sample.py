"""What the model learns from: a prompt made by the product's code, and the answer."""

from dataclasses import dataclass

from core.messages import Locale
from core.prompt import Prompt

LANGUAGES: tuple[Locale, ...] = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A prompt as the product makes it, and the answer to learn."""

    prompt: Prompt
    answer: str
