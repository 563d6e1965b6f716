"""Prompt lookup decoding: draft tokens from an earlier occurrence of the latest tokens.

Source: github.com/apoorvumang/prompt-lookup-decoding. Replies often repeat their prompt. The draft runs in the same
step as the next token, and only tokens that would have been sampled anyway are accepted: replies are the same with and
without speculation.
"""

from collections.abc import Sequence
from typing import Final

FIRST_CHANCES: Final = (0.0, 0.2, 0.4, 0.8)
"""How likely a drafted token is to be accepted, by the number of tokens that match before it; a longer match counts as
the longest. What is measured on answers from an FAQ, rewritten texts and chat, as a start.
"""
LONGEST: Final = len(FIRST_CHANCES) - 1
LEARNING: Final = 1 / 8
"""By which part of its error a chance is corrected after each token."""
TOKEN_COST: Final = 0.08
"""What one more token adds to the duration of a step, as a share of that of a step of one token."""
CANDIDATES: Final = 32
"""Latest occurrences of a token that are compared."""


class PromptLookup:
    """Index of a sequence's tokens, and how often what followed an earlier occurrence followed again.

    That is learned from every token, drafted or not: drafts end if they do not pay, and begin again if they would.
    """

    def __init__(self) -> None:
        self._latest: dict[int, int] = {}
        self._earlier: list[int] = []
        self._chances = list(FIRST_CHANCES)
        self._matched, self._start, self._end = 0, 0, 0

    def draft(self, ids: Sequence[int], max_tokens: int, rows: int) -> tuple[int, ...]:
        """Draft tokens that may follow `ids`, at most `max_tokens`; often none.

        A token is drafted if its chance is worth the time that it adds to the step for each of its `rows`.
        """
        self._learn(ids)
        self._index(ids)
        self._match(ids)
        chance = self._chances[self._matched]
        count, all_accepted = 0, chance
        while count < max_tokens and all_accepted > TOKEN_COST * rows:
            count, all_accepted = count + 1, all_accepted * chance
        return tuple(ids[self._start : self._start + count])

    def _learn(self, ids: Sequence[int]) -> None:
        """Compare the tokens since the last match with those that followed it, up to the first difference."""
        if not self._matched:
            return
        for expected, found in zip(range(self._start, len(ids)), range(self._end, len(ids)), strict=False):
            is_same = ids[expected] == ids[found]
            self._chances[self._matched] += LEARNING * (is_same - self._chances[self._matched])
            if not is_same:
                return

    def _index(self, ids: Sequence[int]) -> None:
        """Note, for each token but the last one, its position, and that of its occurrence before."""
        for position in range(len(self._earlier), len(ids) - 1):
            self._earlier.append(self._latest.get(ids[position], -1))
            self._latest[ids[position]] = position

    def _match(self, ids: Sequence[int]) -> None:
        """Find the latest of the earlier occurrences that most of the last tokens match, and what follows it."""
        self._matched, self._start, self._end = 0, len(ids), len(ids)
        position = self._latest.get(ids[-1], -1) if ids else -1
        for _ in range(CANDIDATES):
            if position < 0 or self._matched == LONGEST:
                return
            if (length := _common(ids, position + 1)) > self._matched:
                self._matched, self._start = length, position + 1
            position = self._earlier[position]


def _common(ids: Sequence[int], end: int) -> int:
    """How many tokens before `end` are the same as the last ones, at most `LONGEST`."""
    return next((n for n in range(min(end, LONGEST)) if ids[end - 1 - n] != ids[-1 - n]), min(end, LONGEST))
