"""Guesses at what comes next, from what was there before: a reply often repeats its question.

Prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding): where the last tokens stood once already, what
followed them then is tried again. The model reads the guess in the same step and keeps what it would have written
anyway, so a reply is the same with and without.
"""

from collections.abc import Sequence

GRAM = 3
"""Tokens that must be the same; after two, most guesses are wrong."""
MOST = 3
"""Tokens guessed at once: with more, a step would no longer cost about as much as one without."""


class Lookup:
    """Knows where each run of `GRAM` tokens of a sequence stood last. It dares more with each guess that was right."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._known = GRAM
        self._right = 0

    def guess(self, ids: Sequence[int], room: int) -> tuple[int, ...]:
        """What may follow `ids`, at most `room` tokens, often none."""
        for end in range(self._known, len(ids)):
            self._after[tuple(ids[end - GRAM : end])] = end
        self._known = max(self._known, len(ids))
        start = self._after.get(tuple(ids[-GRAM:]), len(ids))
        return tuple(ids[start : start + max(0, min(room, MOST, 1 + self._right))])

    def learn(self, guessed: int, right: int) -> None:
        """How many of the tokens guessed last were right."""
        self._right = self._right + right if guessed == right else 0
