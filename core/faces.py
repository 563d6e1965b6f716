"""Decides whether a reply shows the mood of its message, and how."""

from typing import Literal, TypeAlias

from core.messages import Label, Mood, Reply
from core.mood import EMOJI

ShowMood: TypeAlias = Literal["felt", "always", "never"]
"""Moods that replies show: "felt" is all but neutral."""


def is_shown(mood: Mood | None, show: ShowMood) -> bool:
    """Whether replies show a mood. Confidence 0 means that it is unknown: the engine gave no log-probabilities."""
    if mood is None or mood.confidence == 0:
        return False
    return show == "always" or (show == "felt" and mood.label is not Label.NEUTRAL)


def face(reply: Reply) -> str:
    """The emoji that a front end adds to a reply; empty if the mood is not shown."""
    return EMOJI[reply.mood.label] if reply.mood and reply.show_mood else ""
