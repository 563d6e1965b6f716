from pathlib import Path

import pytest

from benchmarks.quality import PROMPTS, agreement, greedy, sentences
from core.inference.loader import LoadedModel, LoadOptions, load_model
from core.inference.weights.precision import Precision
from tests.core.inference.tiny import write_tiny_model

ASKED = [list(range(4, 4 + length)) for length in (3, 9, 20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path)


def load(folder: Path, precision: Precision) -> LoadedModel:
    return load_model(str(folder), folder, LoadOptions(precision=precision))


def test_a_model_agrees_with_itself(folder: Path) -> None:
    """The same precision twice: the same likeliest token at each place of each prompt, no divergence, the same text."""
    first, second = (load(folder, Precision.FP32) for _ in range(2))
    found = agreement(first, second, ASKED)
    assert len(found.same) == sum(map(len, ASKED))
    assert found.same.all()
    assert found.divergence.abs().max() < 1e-6
    assert greedy(first, ASKED) == greedy(second, ASKED)


def test_a_coarser_precision_diverges(folder: Path) -> None:
    """bf16 is not fp32, and the divergence shows it: above zero, and small."""
    found = agreement(load(folder, Precision.FP32), load(folder, Precision.BF16), ASKED)
    assert 0 < found.divergence.mean() < 1


def test_asks_what_nobody_trained_on() -> None:
    """As many sentences as it says, all different."""
    assert len(set(sentences())) == PROMPTS
