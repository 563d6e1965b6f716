"""A search: the passages that may answer a question, the most trusted first."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.knowledge.index import FEATURES, Index
from core.knowledge.judgement import Judge, Numbers, judge_for
from core.knowledge.lexicon import Floats
from core.knowledge.meaning import Embedder
from core.knowledge.passages import Findings, Match, Passage, Thresholds
from core.language import language_of
from core.messages import Locale

LONGEST_QUESTION = 500
"""Characters of a question that are searched for."""
CANDIDATES = 20
"""Passages of each kind that are judged after the ranking."""

SAME = 0.99
"""Likeness from which a question consists of the very words of a wording, so that its answer is certain."""


def search(
    index: Index, embedder: Embedder | None, question: str, *, language: Locale | None = None, limit: int = 5
) -> Findings:
    """The best matches. An entry in several languages is found in `language`, that of the question by default."""
    asked = question[:LONGEST_QUESTION]
    vector, usualness = None, 0.0
    if embedder is not None and index.has_vectors:
        vector = embedder.embed([asked])[0]
        usualness = embedder.usualness(vector)
    features = index.features(asked, vector)
    spoken = _spoken(index.passages, language or language_of(asked))
    matches: list[Match] = []
    for is_answer in (True, False):
        rows = np.array([i for i in spoken if index.passages[i].is_answer == is_answer], np.intp)
        if len(rows):
            judge = judge_for(is_answer=is_answer, by_meaning=vector is not None)
            matches += _judged(index, judge, rows, features[rows], usualness, by_meaning=vector is not None)
    matches.sort(key=lambda match: -match.score)
    return Findings(
        question=question,
        matches=tuple(matches[:limit]),
        version=index.version,
    )


def _judged(
    index: Index, judge: Judge, rows: npt.NDArray[np.intp], features: Floats, usualness: float, *, by_meaning: bool
) -> list[Match]:
    ranks = judge.ranks(features)
    best = np.argsort(-ranks, kind="stable")[:CANDIDATES]
    scores = judge.trusted(features[best], leads(ranks[best]), usualness)
    scores[features[best, FEATURES.index("wording_likeness")] >= SAME] = 1.0
    return [
        _match(index.passages[rows[row]], float(score), judge.thresholds, features[row], by_meaning=by_meaning)
        for row, score in zip(best, scores, strict=True)
    ]


def leads(ranks: Numbers) -> Numbers:
    """How far each of some descending ranks is above the next best other one: below 0 for all but the first."""
    if len(ranks) == 1:
        return np.zeros(1)
    return np.concatenate([[ranks[0] - ranks[1]], ranks[1:] - ranks[0]])


def _match(passage: Passage, score: float, thresholds: Thresholds, features: Floats, *, by_meaning: bool) -> Match:
    named = dict(zip(FEATURES, map(float, features), strict=True))
    return Match(
        passage=passage,
        score=score,
        thresholds=thresholds,
        coverage=max(named["wording_coverage"], named["body_coverage"]),
        cosine=max(named["wording_cosine"], named["body_cosine"]) if by_meaning else None,
    )


def _spoken(passages: Sequence[Passage], language: Locale | None) -> list[int]:
    """The numbers of the passages in that language, and of those that do not exist in it."""
    translated = {passage.entry for passage in passages if passage.language == language}
    return [
        number
        for number, passage in enumerate(passages)
        if language is None or passage.language == language or passage.entry not in translated
    ]
