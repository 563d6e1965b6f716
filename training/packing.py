"""Sequence packing: rows of token ids with shared messages, such as one system prompt, and several samples behind them.

The samples of a row attend to the shared messages and to themselves, not to each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import torch
from tokenizers import Tokenizer

from core.prompt import ChatMessage, Prompt
from training.sample import Sample
from training.tokenizer import content_tokenizer, control_ids

Ids: TypeAlias = list[int]
IGNORED = -100
"""Target of a position that has no loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A sample after its shared messages. `targets` are the ids of the assistant's words, IGNORED elsewhere."""

    ids: Ids
    targets: Ids


class Encoder:
    """Encodes prompts in ChatML. Text is encoded without control tokens, so that a person cannot write one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._content = content_tokenizer(tokenizer)
        self.end_of_text, self._start, self._end = control_ids(tokenizer)
        self._newline = self.encode("\n")
        self._shared = lru_cache(maxsize=64)(self._encode_shared)

    def encode(self, text: str) -> Ids:
        """Token ids of a text, none of them a control token."""
        return self._content.encode(text, add_special_tokens=False).ids

    def prompt(self, prompt: Prompt) -> Ids:
        """Token ids of a prompt and of the header of the answer."""
        return [i for message in prompt for i in self._message(message)] + [self._start, *self.encode("assistant\n")]

    def sample(self, sample: Sample) -> tuple[tuple[int, ...], Branch]:
        """Ids of the shared messages, and the branch. All answers in the branch have targets."""
        ids: Ids = []
        targets: Ids = []
        for message in (*sample.prompt[sample.shared :], ChatMessage(role="assistant", content=sample.answer)):
            encoded = self._message(message)
            ids += encoded
            targets += self._answer_targets(encoded) if message.role == "assistant" else [IGNORED] * len(encoded)
        return self._shared(sample.prompt[: sample.shared]), Branch(ids=ids, targets=targets)

    def _encode_shared(self, messages: Prompt) -> tuple[int, ...]:
        return tuple(i for message in messages for i in self._message(message))

    def _message(self, message: ChatMessage) -> Ids:
        return [self._start, *self.encode(f"{message.role}\n{message.content}"), self._end, *self._newline]

    def _answer_targets(self, ids: Ids) -> Ids:
        # The newline after the role is a token of its own, never merged with the answer; a test holds this.
        head = 1 + len(self.encode("assistant\n"))
        tail = len(self._newline)
        return [IGNORED] * head + ids[head:-tail] + [IGNORED] * tail


@dataclass(slots=True)
class _Row:
    """A row that is being filled. Segment 0 is the shared messages, each branch has the next number."""

    ids: Ids
    targets: Ids
    segments: Ids
    positions: Ids
    branches: int = field(default=0)

    def add(self, branch: Branch, prefix: int) -> None:
        self.branches += 1
        self.ids += branch.ids
        self.targets += branch.targets
        self.segments += [self.branches] * len(branch.ids)
        self.positions += range(prefix, prefix + len(branch.ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows as int64 tensors [rows, length]. `mask` is bool [rows, 1, length, length], True if the query may attend."""

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor

    def split(self, rows: int) -> "list[Batch]":
        """Batches of at most `rows` of these rows."""
        return [
            Batch(ids=ids, positions=positions, mask=mask, targets=targets)
            for ids, positions, mask, targets in zip(
                torch.split(self.ids, rows),
                torch.split(self.positions, rows),
                torch.split(self.mask, rows),
                torch.split(self.targets, rows),
                strict=True,
            )
        ]


def batches(samples: Iterator[Sample], encoder: Encoder, *, rows: int, length: int) -> Iterator[Batch]:
    """Batches of `rows` full rows of `length` tokens, in the order in which rows fill up. Samples longer than a row are
    dropped.
    """
    full: list[_Row] = []
    for row in _pack(samples, encoder, length):
        full.append(row)
        if len(full) == rows:
            yield _tensors(full, length, encoder.end_of_text)
            full = []


def _pack(samples: Iterator[Sample], encoder: Encoder, length: int) -> Iterator[_Row]:
    """Full rows. One row is open for each prefix; the first sample that does not fit closes it."""
    opened: dict[tuple[int, ...], _Row] = {}
    for prefix, branch in map(encoder.sample, samples):
        if len(prefix) >= length:
            raise ValueError("the shared messages fill a whole row")
        if len(prefix) + len(branch.ids) > length:
            continue
        if prefix in opened and len(opened[prefix].ids) + len(branch.ids) > length:
            yield opened.pop(prefix)
        size = len(prefix)
        row = opened.setdefault(prefix, _Row(list(prefix), [IGNORED] * size, [0] * size, list(range(size))))
        row.add(branch, size)


def _tensors(rows: list[_Row], length: int, padding: int) -> Batch:
    def padded(values: list[Ids], fill: int) -> torch.Tensor:
        return torch.tensor([row + [fill] * (length - len(row)) for row in values])

    segments = padded([row.segments for row in rows], -1)
    same = segments[:, :, None] == segments[:, None, :]
    prefix = (segments[:, None, :] == 0) & (segments[:, :, None] >= 0)
    mask = (same | prefix) & torch.ones(length, length, dtype=torch.bool).tril()
    return Batch(
        ids=padded([row.ids for row in rows], padding),
        positions=padded([row.positions for row in rows], 0),
        mask=mask[:, None],
        # The target of a position is the next id. Only answers have targets, so it belongs to the same branch.
        targets=padded([[*row.targets[1:], IGNORED] for row in rows], IGNORED),
    )
