"""What is searched: passages with the terms and vectors of their wordings and of their bodies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from core.knowledge.lexicon import Floats, Ints, Lexicon, build_lexicon
from core.knowledge.meaning import Embedder
from core.knowledge.passages import Passage
from core.knowledge.terms import folded, grams, words
from core.progress import Progress, unwatched

BATCH = 16
"""Texts embedded at once, in some 20 ms: a question waits no longer."""
FEWEST_SPREAD = 0.015
"""Smallest standard deviation of the cosines of a question, for corpora of a few texts."""
FEATURES = (
    *("wording_coverage", "wording_likeness", "wording_grams_coverage", "wording_grams_likeness"),
    *("body_coverage", "body_grams_coverage", "body_grams_bm25"),
    *("wording_cosine", "wording_distance", "body_cosine", "body_distance"),
)
"""What `Index.features` says of each passage; the cosines are 0 without an embedder. A distance is the number of
standard deviations by which a cosine exceeds the mean of all texts for that question.
"""
Text: TypeAlias = tuple[int, str]
"""A text of a field, behind the number of its passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Texts of one kind. `owners` is the number of each text's passage, ascending. `vectors` has no rows without an
    embedder.
    """

    owners: Ints
    words: Lexicon
    grams: Lexicon
    vectors: Floats

    def best(self, values: Floats, size: int) -> Floats:
        """The highest value of each passage's texts; 0 for a passage without texts."""
        best = np.zeros(size, np.float32)
        if len(self.owners):
            starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
            best[self.owners[starts]] = np.maximum.reduceat(values, starts)
        return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Passages, and the texts by which they are found. `version` names the files' contents and the embedder."""

    version: str
    passages: tuple[Passage, ...]
    wordings: Field
    bodies: Field

    @property
    def has_vectors(self) -> bool:
        return len(self.bodies.vectors) > 0

    def features(self, question: str, vector: Floats | None) -> npt.NDArray[np.float32]:
        """A row of `FEATURES` for each passage. `vector` is the question's, if there is an embedder."""
        text = folded(question)
        asked_words, asked_grams = words(text), grams(text)
        size = len(self.passages)
        wording, wording_grams = self.wordings.words.overlap(asked_words), self.wordings.grams.overlap(asked_grams)
        body, body_grams = self.bodies.words.overlap(asked_words), self.bodies.grams.overlap(asked_grams)
        return np.stack(
            [
                self.wordings.best(wording.coverage, size),
                self.wordings.best(wording.likeness, size),
                self.wordings.best(wording_grams.coverage, size),
                self.wordings.best(wording_grams.likeness, size),
                self.bodies.best(body.coverage, size),
                self.bodies.best(body_grams.coverage, size),
                self.bodies.best(body_grams.bm25, size),
                *_cosines(self.wordings, vector, size),
                *_cosines(self.bodies, vector, size),
            ],
            axis=1,
        )


def build_index(
    passages: Sequence[Passage],
    embedder: Embedder | None,
    *,
    version: str,
    before: Index | None = None,
    progress: Progress = unwatched,
) -> Index:
    """Index passages. The vectors of texts in an index of the same embedder `before` are used again."""
    asked, said = _wordings(passages), [(number, _said(passage)) for number, passage in enumerate(passages)]
    meant = [body(passage) for passage in passages]
    total = len(asked) + len(said)
    known = _vectors(before) if before else {}
    vectors = _embedded([text for _, text in asked], embedder, known, lambda done: progress(done, total))
    wordings = _field(asked, vectors)
    vectors = _embedded(meant, embedder, known, lambda done: progress(len(asked) + done, total))
    return Index(version=version, passages=tuple(passages), wordings=wordings, bodies=_field(said, vectors))


def _wordings(passages: Sequence[Passage]) -> list[Text]:
    return [(number, wording) for number, passage in enumerate(passages) for wording in passage.wordings]


def _said(passage: Passage) -> str:
    """The words by which a body is found. Those of an answer's heading are a wording."""
    return passage.text if passage.is_answer else body(passage)


def body(passage: Passage) -> str:
    """What is embedded of a body: a text means little without what it is about."""
    return f"{passage.heading}\n{passage.text}".strip()


def _vectors(index: Index) -> Mapping[str, Floats]:
    """The vector of each text, if the index has vectors."""
    texts = [text for _, text in _wordings(index.passages)] + [body(passage) for passage in index.passages]
    return dict(zip(texts, [*index.wordings.vectors, *index.bodies.vectors], strict=False))


def _field(texts: Sequence[Text], vectors: Floats) -> Field:
    contents = [folded(text) for _, text in texts]
    return Field(
        owners=np.array([number for number, _ in texts], np.int32),
        words=build_lexicon([words(text) for text in contents]),
        grams=build_lexicon([grams(text) for text in contents]),
        vectors=vectors,
    )


def _embedded(
    texts: Sequence[str], embedder: Embedder | None, known: Mapping[str, Floats], progress: Callable[[int], None]
) -> Floats:
    """The vector of each text; no rows without an embedder. Those that are not known are embedded."""
    if embedder is None or not texts:
        progress(len(texts))
        return np.zeros((0, 0), np.float32)
    new = [text for text in dict.fromkeys(texts) if text not in known]
    vectors = dict(known)
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        vectors.update(zip(batch, embedder.embed(batch), strict=True))
        progress(len(texts) - len(new) + start + len(batch))
    progress(len(texts))
    return np.stack([vectors[text] for text in texts])


def _cosines(field: Field, vector: Floats | None, size: int) -> tuple[Floats, Floats]:
    if vector is None or not len(field.vectors):
        return np.zeros(size, np.float32), np.zeros(size, np.float32)
    cosines = field.vectors @ vector
    spread = max(float(cosines.std()), FEWEST_SPREAD)
    return field.best(cosines, size), field.best((cosines - cosines.mean()) / spread, size)
