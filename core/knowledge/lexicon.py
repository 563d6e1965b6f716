"""An inverted index with the weights of BM25 (Robertson and Zaragoza 2009), as arrays that are saved and mapped."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.knowledge.terms import is_function

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

K1, B = 1.2, 0.5
FUNCTION_WEIGHT = 0.1
"""Share of its weight that a term without a topic keeps."""

FEWEST_INFORMATION = 0.5
"""Share of the idf of the rarest term below which a question is too empty to be covered by a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What each text has in common with a question, between 0 and 1.

    `coverage` is the share of the question's information that stands in the text, `likeness` the same against both
    (Dice), `bm25` the score as a share of the highest that any text could have.
    """

    coverage: Floats
    likeness: Floats
    bm25: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Postings of each term: `texts[starts[t]:starts[t + 1]]` with the `weights` of BM25 without the idf.

    `information` is the sum of the idf of a text's different terms. A term that no text has gets `rarest`.
    """

    vocabulary: Mapping[str, int]
    starts: Ints
    texts: Ints
    weights: Floats
    idf: Floats
    information: Floats

    @property
    def rarest(self) -> float:
        return _idf(0, len(self.information))

    def overlap(self, terms: Sequence[str]) -> Overlap:
        """The overlap of each text with a question's terms."""
        size = len(self.information)
        common, bm25 = np.zeros(size, np.float32), np.zeros(size, np.float32)
        asked = 0.0
        for term in dict.fromkeys(terms):
            number = self.vocabulary.get(term)
            if number is None:
                asked += self.rarest * _share(term)
                continue
            idf = self.idf[number]
            asked += float(idf)
            postings = slice(self.starts[number], self.starts[number + 1])
            common[self.texts[postings]] += idf
            bm25[self.texts[postings]] += idf * self.weights[postings]
        whole = max(asked, FEWEST_INFORMATION * self.rarest)
        return Overlap(
            coverage=common / whole,
            likeness=2 * common / (whole + self.information),
            bm25=bm25 / (whole * (K1 + 1)),
        )


def build_lexicon(texts: Sequence[Sequence[str]]) -> Lexicon:
    """The lexicon of texts that consist of terms."""
    vocabulary: dict[str, int] = {}
    counts = [Counter(vocabulary.setdefault(term, len(vocabulary)) for term in terms) for terms in texts]
    lengths = np.array([len(terms) for terms in texts], np.float32)
    norms = K1 * (1 - B + B * lengths / max(float(lengths.mean()) if len(lengths) else 1.0, 1.0))
    owners = np.repeat(np.arange(len(texts), dtype=np.int32), [len(count) for count in counts])
    numbers = np.fromiter((number for count in counts for number in count), np.int32, len(owners))
    times = np.fromiter((n for count in counts for n in count.values()), np.float32, len(owners))
    frequency = np.bincount(numbers, minlength=len(vocabulary))
    shares = np.array([_share(term) for term in vocabulary], np.float32)
    idf = np.array([_idf(int(n), len(texts)) for n in frequency], np.float32) * shares
    order = np.argsort(numbers, kind="stable")
    information = np.bincount(owners, weights=idf[numbers], minlength=len(texts))
    return Lexicon(
        vocabulary=vocabulary,
        starts=np.concatenate([[0], np.cumsum(frequency)]).astype(np.int32),
        texts=owners[order],
        weights=(times * (K1 + 1) / (times + norms[owners]))[order].astype(np.float32),
        idf=idf,
        information=information.astype(np.float32),
    )


def _idf(having: int, size: int) -> float:
    return math.log(1 + (size - having + 0.5) / (having + 0.5))


def _share(term: str) -> float:
    return FUNCTION_WEIGHT if is_function(term) else 1.0
