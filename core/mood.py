"""The mood of a message: positive, negative or neutral, computed from the likelihood of these labels."""

from collections.abc import Mapping
from functools import cache

from core.labels import LabelPrompt, load_prompts
from core.messages import Label, Locale, Mood

EMOJI: Mapping[Label, str] = {Label.POSITIVE: "😊", Label.NEGATIVE: "😟", Label.NEUTRAL: "😐"}
"""How front ends show a mood."""
MIN_MARGIN = 0.10
"""Minimum margin, in probability, of the first label over the second; below it the mood is neutral."""
UNKNOWN = Mood(label=Label.NEUTRAL, confidence=0.0)
"""The mood if the model reports no log-probabilities."""


@cache
def mood_prompts() -> Mapping[Locale, LabelPrompt[Label]]:
    """The prompts that ask for the mood of a text, by language."""
    return load_prompts("mood", Label)


def mood_of(shares: Mapping[Label, float]) -> Mood:
    """The mood from the labels' probabilities; neutral if two are almost equally likely."""
    if not shares:
        return UNKNOWN
    (first, label), (second, _) = sorted(((share, label) for label, share in shares.items()), reverse=True)[:2]
    if first - second < MIN_MARGIN:
        label = Label.NEUTRAL
    return Mood(label=label, confidence=shares[label])
