"""Fits how passages are ranked and trusted, with projections that never saw the business in question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from core.knowledge.index import FEATURES, build_index
from core.knowledge.judgement import evidence
from core.knowledge.lexicon import Floats
from core.knowledge.meaning import Embedder
from core.knowledge.searching import leads
from training.faqs import Asked, Faq

SHARES = (0.005, 0.1, 0.6)
"""Shares of the unanswerable questions of the fit that may be answered word for word, that may get a passage to rest
on, and for which other questions may be suggested. On other businesses they are some ten times as high for the first.
"""
PARTS = 3
"""Each business is also several that wrote a part of its answers."""
RIDGE = 0.5
"""Weight of the squared weights, in examples."""
LEXICAL = len(FEATURES) - 4
"""Features that need no embedder; they come first."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question's features of all passages, its usualness, and the row of the right passage, if there is one.

    `is_missing` if the business wrote an answer, which was left out.
    """

    features: Floats
    usualness: float
    right: int | None
    is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A judge's numbers as they are written down, and what they do on the questions of the fit."""

    text: str
    summary: str


def examples(faq: Faq, embedder: Embedder, *, documents: bool) -> Iterator[Example]:
    """Of the whole business, of ones without a part of its answers, and of ones with that part alone, which get one
    question in so many. Documents have no wordings, and say no question.
    """
    yield from _examples(faq, faq.asked, embedder, documents=documents)
    entries = {passage.entry for passage in faq.passages}
    for start in range(PARTS):
        part = {passage.entry for passage in faq.passages[start::PARTS]}
        for fewer in (faq.without(part), faq.without(entries - part)):
            yield from _examples(fewer, faq.asked, embedder, documents=documents, every=PARTS)


def _examples(
    faq: Faq, before: Sequence[Asked], embedder: Embedder, *, documents: bool, every: int = 1
) -> Iterator[Example]:
    passages = [replace(one, wordings=(), heading="") for one in faq.passages] if documents else faq.passages
    index = build_index(passages, embedder, version="")
    for one, was in list(zip(faq.asked, before, strict=True))[::every]:
        vector = embedder.embed([one.text])[0]
        yield Example(
            features=index.features(one.text, vector),
            usualness=embedder.usualness(vector),
            right=faq.row(one),
            is_missing=one != was,
        )


def without_meaning(example: Example) -> Example:
    features = example.features.copy()
    features[:, LEXICAL:] = 0
    return replace(example, features=features, usualness=0.0)


def fit_judge(name: str, fitted: Sequence[Example]) -> Fitted:
    """A table of `weights.toml`."""
    rank = _fit_rank([one for one in fitted if one.right is not None])
    rows, right = [], []
    for one in fitted:
        ranks = one.features @ rank
        order = np.argsort(-ranks, kind="stable")
        rows.append(evidence(one.features[order[:1]], leads(ranks[order])[:1], one.usualness)[0])
        right.append(one.right == order[0])
    trust = _fit_trust(np.array(rows), np.array(right, float))
    scores = 1 / (1 + np.exp(-(np.array(rows) @ trust)))
    answer, ground, suggest = (_threshold(fitted, scores, share) for share in SHARES)
    known = [i for i, one in enumerate(fitted) if one.right is not None]
    hits = sum(right[i] for i in known) / len(known)
    answered = sum(right[i] and scores[i] > answer for i in known) / len(known)
    return Fitted(
        text=(
            f"\n[{name}]\nrank = {_list(rank)}\ntrust = {_list(trust)}\n"
            f"answer = {answer:.3f}\nground = {ground:.3f}\nsuggest = {suggest:.3f}\n"
        ),
        summary=f"{name:24}{len(fitted):6} questions, {len(known)} known: hit@1 {hits:.2f}, answered {answered:.0%}",
    )


def _threshold(fitted: Sequence[Example], scores: Numbers, share: float) -> float:
    """The score that no larger share of the questions exceeds, neither of the unusual nor of the missing ones."""
    thresholds = []
    for is_missing in (False, True):
        unknown = [i for i, one in enumerate(fitted) if one.right is None and one.is_missing == is_missing]
        thresholds.append(np.sort(scores[unknown])[::-1][int(len(unknown) * share)])
    return float(max(thresholds))


def _fit_rank(known: Sequence[Example]) -> Numbers:
    """Weights by which the right passage outranks the others: softmax regression. None is negative."""
    most = max(len(one.features) for one in known)
    features = torch.zeros(len(known), most, len(FEATURES))
    absent = torch.full((len(known), most), -1e9)
    for row, one in enumerate(known):
        features[row, : len(one.features)] = torch.from_numpy(one.features)
        absent[row, : len(one.features)] = 0
    right = torch.tensor([one.right for one in known])
    weights = torch.ones(len(FEATURES), requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.05)
    for _ in range(400):
        loss = cross_entropy(features @ weights + absent, right) + RIDGE / len(known) * (weights**2).sum()
        _step(optimizer, loss, weights)
    return _numbers(weights)


def _fit_trust(rows: Numbers, right: Numbers) -> Numbers:
    """Logistic regression. Only the bias may be negative: no likeness speaks against a passage."""
    scale = np.abs(rows).max(axis=0).clip(1e-6)
    scaled, target = torch.tensor(rows / scale).float(), torch.tensor(right).float()
    weights = torch.zeros(rows.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.1)
    for _ in range(1500):
        error = binary_cross_entropy_with_logits(scaled @ weights, target)
        _step(optimizer, error + RIDGE / len(rows) * (weights[:-1] ** 2).sum(), weights[:-1])
    trust: Numbers = _numbers(weights) / scale
    return trust


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, nonnegative: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    with torch.no_grad():
        nonnegative.clamp_(min=0)


def _numbers(weights: torch.Tensor) -> Numbers:
    return weights.detach().numpy().astype(np.float64)


def _list(weights: Numbers) -> str:
    return f"[{', '.join(f'{weight:.3f}' for weight in weights)}]"
