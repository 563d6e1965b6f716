"""Frames: what a chat template writes around the texts of messages, learned by rendering marks in their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise, product
from typing import Final

from core.errors import RolesRefused
from core.inference.tokens.rendering import Render
from core.inference.tokens.vocabulary import Part, Vocabulary

LEFT: Final = "\n "
RIGHT: Final = " \n"
"""White space around a mark. What a template leaves of it shows which characters it strips."""
LEFT_STRIPS: Final[Mapping[str, str | None]] = {LEFT: "", "": None, " ": "\n"}
RIGHT_STRIPS: Final[Mapping[str, str | None]] = {RIGHT: "", "": None, " ": "\n"}
"""What is left of LEFT and RIGHT, and the stripped characters: none, white space, or line breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """The characters that a template strips from a text's ends, as in `str.strip`: None is white space, "" nothing."""

    left: str | None
    right: str | None

    def of(self, text: str) -> str:
        return text.lstrip(self.left).rstrip(self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The frames of a conversation of certain roles.

    `openings`: what comes before each text, with the end of the previous message, and after the last text, with the
    opening of the reply. They are one more than `trims`.
    """

    openings: tuple[tuple[Part, ...], ...]
    trims: tuple[Trim, ...]

    def around(self, texts: Sequence[str]) -> list[Part]:
        """The first texts in their frames, up to where the next text begins, or the reply."""
        parts = [*self.openings[0]]
        for text, trim, opening in zip(texts, self.trims, self.openings[1:], strict=False):
            parts += [trim.of(text), *opening]
        return parts


def learn_frames(render: Render, vocabulary: Vocabulary, roles: Sequence[str], today: date) -> Frames:
    """The frames of these roles, from two renderings: marks alone, and marks in white space.

    Raises RolesRefused if the template rejects the roles, or writes a text otherwise than whole, once and in order.
    """
    marks = [f"Mark{number}x" for number in range(len(roles))]
    spaced = [f"{LEFT}{mark}{RIGHT}" for mark in marks]
    try:
        gaps = _gaps(render(roles, marks, today), marks)
        padded = _gaps(render(roles, spaced, today), marks)
        strips = [_strips(gap, wide) for gap, wide in zip(gaps, padded, strict=True)]
    except _Unlearnable as error:
        reason = f"the chat template rewrites the texts of {', '.join(roles)}"
        raise RolesRefused(vocabulary.path, reason) from error
    trims = tuple(Trim(left=left, right=right) for (_, left), (right, _) in pairwise(strips))
    return Frames(openings=tuple(tuple(vocabulary.split(gap)) for gap in gaps), trims=trims)


class _Unlearnable(Exception):
    """What a template writes around a text depends on the text."""


def _gaps(rendered: str, marks: Sequence[str]) -> list[str]:
    """What is before, between and after the marks."""
    gaps = []
    for mark in marks:
        gap, found, rendered = rendered.partition(mark)
        if not found or mark in rendered:
            raise _Unlearnable
        gaps.append(gap)
    return [*gaps, rendered]


def _strips(gap: str, padded: str) -> tuple[str | None, str | None]:
    """The characters that were stripped from the text before a gap, at its end, and from the text after it."""
    for (kept_right, right), (kept_left, left) in product(RIGHT_STRIPS.items(), LEFT_STRIPS.items()):
        if padded == kept_right + gap + kept_left:
            return right, left
    raise _Unlearnable
