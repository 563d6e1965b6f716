"""A training sample: a prompt made by the product's own code, and the answer to it."""

from dataclasses import dataclass

from core.messages import Locale
from core.prompt import Prompt

LANGUAGES: tuple[Locale, ...] = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A prompt as the product builds it, and the answer that the model learns.

    The first `shared` messages are the same in many samples: the system message, and the examples of a mood prompt.
    """

    prompt: Prompt
    answer: str
    shared: int
