"""A constraint by a matcher of llguidance, and the vocabulary in the form in which llguidance reads it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from core.errors import ControlToken
from core.inference.arrays import Floats
from core.inference.batching.constraint import Constraint, ConstraintFailed
from core.inference.grammars.compiler import compile_schema
from core.inference.tokens.vocabulary import Vocabulary


class GrammarConstraint:
    """Allows the tokens that continue the grammar's text, and EOS if it may end."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def restrict(self, logits: Floats) -> None:
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():  # the mask allows EOS then
            raise ConstraintFailed
        allowed = np.unpackbits(bits, bitorder="little", count=len(logits)).view(bool)
        np.copyto(logits, -np.inf, where=~allowed)
        if logits.max() == -np.inf:
            raise ConstraintFailed

    def advance(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise ConstraintFailed


def open_compiler(vocabulary: Vocabulary, eos_ids: frozenset[int]) -> Callable[[str], Constraint]:
    """A function from a JSON schema to a constraint."""
    tokenizer = _open_tokenizer(vocabulary, eos_ids)
    return lambda schema: GrammarConstraint(compile_schema(schema, tokenizer))


def _open_tokenizer(vocabulary: Vocabulary, eos_ids: frozenset[int]) -> LLTokenizer:
    """A trie of the vocabulary's tokens. Takes half a second for 150,000 tokens, and holds the GIL."""
    special = sorted(vocabulary.control.keys() | eos_ids)
    size = max(len(vocabulary.tokens), special[-1] + 1)
    words = _Words(
        vocabulary=vocabulary,
        tokens=[vocabulary.bytes_of(token) for token in range(size)],
        special_token_ids=special,
        eos_token_id=min(eos_ids),
    )
    return LLTokenizer(TokenizerWrapper(words), eos_token=sorted(eos_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What TokenizerWrapper reads of a tokenizer. It is called to find the tokens of text that must come next."""

    vocabulary: Vocabulary
    tokens: Sequence[bytes]
    special_token_ids: Sequence[int]
    eos_token_id: int
    bos_token_id: int | None = None

    def __call__(self, text: str) -> list[int]:
        """The model's own tokens; single bytes if these spell another text, as after Unicode normalisation."""
        try:
            ids = self.vocabulary.encode(text)
        except ControlToken:
            ids = []
        spelt = b"".join(map(self.vocabulary.bytes_of, ids))
        return ids if spelt == text.encode() else [self.tokens.index(bytes([byte])) for byte in text.encode()]
