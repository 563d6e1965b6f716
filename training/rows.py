"""Samples as ids, packed into rows: one shared system prompt, and branches that see it but not each other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from tokenizers import Tokenizer

from core.prompt import ChatMessage, Prompt
from training.sample import Sample
from training.tokenizer import content_tokenizer

Ids: TypeAlias = list[int]
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What follows the system prompt; `targets` are the ids of the assistant's words, IGNORED elsewhere."""

    ids: Ids
    targets: Ids


class Encoder:
    """Assembles prompts from ids: text goes through a tokenizer that knows no control tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._content = content_tokenizer(tokenizer)
        self.end_of_text, self._start, self._end = (
            tokenizer.token_to_id(name) for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
        )
        self._newline = self.encode("\n")

    def encode(self, text: str) -> Ids:
        """The ids of a text that is nothing but text."""
        return self._content.encode(text, add_special_tokens=False).ids

    def prompt(self, prompt: Prompt) -> Ids:
        """A whole prompt, ready for the model to answer."""
        return [i for message in prompt for i in self._message(message)] + [self._start, *self.encode("assistant\n")]

    def sample(self, sample: Sample) -> tuple[tuple[int, ...], Branch]:
        """The shared system prompt (empty where there is none) and the branch. All the assistant's words are learnt."""
        messages = (*sample.prompt, ChatMessage(role="assistant", content=sample.answer))
        systems = 1 if messages[0].role == "system" else 0
        ids: Ids = []
        targets: Ids = []
        for message in messages[systems:]:
            written = self._message(message)
            ids += written
            targets += self._learnt(written) if message.role == "assistant" else [IGNORED] * len(written)
        return tuple(i for message in messages[:systems] for i in self._message(message)), Branch(
            ids=ids, targets=targets
        )

    def _message(self, message: ChatMessage) -> Ids:
        return [self._start, *self.encode(f"{message.role}\n{message.content}"), self._end, *self._newline]

    def _learnt(self, written: Ids) -> Ids:
        # The newline of the role is cut as one token with nothing of the answer: see `starts_alone` in the tests.
        head = 1 + len(self.encode("assistant\n"))
        tail = len(self._newline)
        return [IGNORED] * head + written[head:-tail] + [IGNORED] * tail


@dataclass(slots=True)
class _Row:
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
    """Rows as tensors [rows, length]; `mask` is [rows, 1, length, length], True where a token may look."""

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor


def batches(samples: Iterator[Sample], encoder: Encoder, *, rows: int, length: int) -> Iterator[Batch]:
    """Full rows in the order in which they fill up. A sample longer than a row is left out."""
    full: list[_Row] = []
    for row in _pack(samples, encoder, length):
        full.append(row)
        if len(full) == rows:
            yield _tensors(full, length, encoder.end_of_text)
            full = []


def _pack(samples: Iterator[Sample], encoder: Encoder, length: int) -> Iterator[_Row]:
    """Rows of samples with the same system prompt, one open row for each."""
    opened: dict[tuple[int, ...], _Row] = {}
    for prefix, branch in map(encoder.sample, samples):
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
        # What a position is to say next is the id after it, which is of the same branch wherever it is learnt.
        targets=padded([[*row.targets[1:], IGNORED] for row in rows], IGNORED),
    )
