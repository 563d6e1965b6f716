from pathlib import Path

import pytest

from benchmarks.quality import PROMPTS, agreement, greedy, held_out_texts
from core.inference.loader import LoadedModel, load_model
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options
from tests.core.inference.tiny import write_tiny_model

IDS = [list(range(4, 4 + length)) for length in (3, 9, 20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path)


def load(folder: Path, precision: Precision) -> LoadedModel:
    return load_model(str(folder), folder, load_options(precision=precision))


def test_a_model_agrees_with_itself(folder: Path) -> None:
    """Two loads of the same weights agree in every top token, in the distributions and in the replies."""
    first, second = (load(folder, Precision.FP32) for _ in range(2))
    found = agreement(first, second, IDS)
    assert len(found.same_top) == sum(map(len, IDS))
    assert found.same_top.all()
    assert found.divergence.abs().max() < 1e-6
    assert greedy(first, IDS) == greedy(second, IDS)


def test_a_coarser_precision_diverges(folder: Path) -> None:
    """The divergence of bf16 from fp32 is above zero and small."""
    found = agreement(load(folder, Precision.FP32), load(folder, Precision.BF16), IDS)
    assert 0 < found.divergence.mean() < 1


def test_prompts_are_distinct() -> None:
    """The prompts are `PROMPTS` different sentences."""
    assert len(set(held_out_texts(PROMPTS))) == PROMPTS
