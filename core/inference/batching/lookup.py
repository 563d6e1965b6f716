"""Prompt lookup decoding: draft tokens from an earlier occurrence of the latest n-gram.

Source: github.com/apoorvumang/prompt-lookup-decoding. Replies often repeat their prompt. The draft runs in the same
step as the next token, and only tokens that would have been sampled anyway are accepted: replies are the same with and
without speculation.
"""

from collections.abc import Sequence
from typing import Final

NGRAM: Final = 3
"""Tokens that must match; with 2, most drafts are rejected."""
MAX_DRAFT: Final = 3
"""Longest draft, in tokens; a longer one would make a step noticeably slower."""


class PromptLookup:
    """Index of a sequence's n-grams. The draft grows with each draft that is accepted in full."""

    def __init__(self) -> None:
        self._continuations: dict[tuple[int, ...], int] = {}
        self._indexed = NGRAM
        self._accepted = 0

    def draft(self, ids: Sequence[int], max_tokens: int) -> tuple[int, ...]:
        """Draft tokens that may follow `ids`, at most `max_tokens`; often none."""
        for end in range(self._indexed, len(ids)):
            self._continuations[tuple(ids[end - NGRAM : end])] = end
        self._indexed = max(self._indexed, len(ids))
        start = self._continuations.get(tuple(ids[-NGRAM:]), len(ids))
        return tuple(ids[start : start + max(0, min(max_tokens, MAX_DRAFT, 1 + self._accepted))])

    def record(self, drafted: int, accepted: int) -> None:
        """Note how many tokens of the last draft were accepted."""
        self._accepted = self._accepted + accepted if drafted == accepted else 0
