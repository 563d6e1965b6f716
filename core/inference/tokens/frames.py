"""Frames: what a chat template writes around the texts of messages, learned by rendering marks in their place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from core.errors import RolesRefused
from core.inference.tokens.rendering import Render
from core.inference.tokens.vocabulary import Part, Vocabulary

MARK: Final = re.compile(r"aMark(\d+)z")
"""Stands for a text. Letters of both cases show whether a template changes them."""
LEFT: Final = "\n "
RIGHT: Final = " \n"
"""White space before and after a mark. What a template leaves of it shows which characters it strips."""
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
    """The frames of these roles, from three renderings: of marks, and of marks with white space on either side.

    Raises RolesRefused if the template rejects the roles, or writes a text otherwise than whole, once and in order.
    """

    def gaps(before: str, after: str) -> list[str]:
        texts = [f"{before}aMark{number}z{after}" for number in range(len(roles))]
        return _gaps(render(roles, texts, today), len(texts))

    try:
        bare, left, right = gaps("", ""), gaps(LEFT, ""), gaps("", RIGHT)
        trims = _trims(bare, left, right)
    except _Unlearnable as error:
        reason = f"the chat template rewrites the texts of {', '.join(roles)}"
        raise RolesRefused(vocabulary.path, reason) from error
    return Frames(openings=tuple(tuple(vocabulary.split(gap)) for gap in bare), trims=trims)


class _Unlearnable(Exception):
    """What a template writes around a text depends on the text."""


def _gaps(rendered: str, count: int) -> list[str]:
    """What is before, between and after the marks, each of which must be there once and in order."""
    pieces = MARK.split(rendered)
    if pieces[1::2] != [str(number) for number in range(count)]:
        raise _Unlearnable
    return pieces[::2]


def _trims(bare: Sequence[str], left: Sequence[str], right: Sequence[str]) -> tuple[Trim, ...]:
    """What is stripped from each text, by the gaps of marks alone and with white space on their left or right."""
    if (left[-1], right[0]) != (bare[-1], bare[0]):
        raise _Unlearnable
    lefts = [{gap + kept: strip for kept, strip in LEFT_STRIPS.items()} for gap in bare[:-1]]
    rights = [{kept + gap: strip for kept, strip in RIGHT_STRIPS.items()} for gap in bare[1:]]
    try:
        found = [(lefts[n][left[n]], rights[n][right[n + 1]]) for n in range(len(lefts))]
    except KeyError as error:
        raise _Unlearnable from error
    return tuple(Trim(left=before, right=after) for before, after in found)
