"""The mood of a message: positive, negative or neutral, computed from the likelihood of these labels."""

from collections.abc import Mapping
from functools import cache

from core.labels import LabelPrompt, decide, load_prompts
from core.messages import Label, Locale, Mood

EMOJI: Mapping[Label, str] = {Label.POSITIVE: "😊", Label.NEGATIVE: "😟", Label.NEUTRAL: "😐"}
"""How front ends show a mood."""


@cache
def mood_prompts() -> Mapping[Locale, LabelPrompt[Label]]:
    """The prompts that ask for the mood of a text, by language."""
    return load_prompts("mood", Label)


def mood_of(shares: Mapping[Label, float]) -> Mood:
    """The mood from the labels' probabilities; neutral if two are almost equally likely, or if there are none."""
    label, confidence = decide(shares, Label.NEUTRAL)
    return Mood(label=label, confidence=confidence)
