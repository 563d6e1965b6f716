from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import agreement
from benchmarks.quality_worker import CHUNK, Exact, greedy, logits_of
from core.inference.loader import LoadedModel, load_model
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options
from tests.core.inference.tiny import write_tiny_model

IDS = [list(range(4, 4 + length)) for length in (3, 9, CHUNK + 20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path)


def load(folder: Path, precision: Precision) -> LoadedModel:
    return load_model(str(folder), folder, load_options(precision=precision))


def test_reads_a_text_in_chunks(folder: Path) -> None:
    """The logits after each token are those of the text up to there, also if it is longer than a chunk."""
    model = load(folder, Precision.FP32)
    whole = logits_of(model, IDS[-1])
    assert len(whole) == len(IDS[-1])
    for length in (1, 7, CHUNK, CHUNK + 1):
        np.testing.assert_allclose(logits_of(model, IDS[-1][:length])[-1], whole[length - 1], atol=1e-4)


def test_replies_are_repeatable(folder: Path) -> None:
    """Two loads of the same weights give the same greedy replies."""
    first, second = (load(folder, Precision.FP32) for _ in range(2))
    assert greedy(first, IDS) == greedy(second, IDS)


def test_a_coarser_precision_diverges(folder: Path) -> None:
    """The divergence of bf16 from fp32 is above zero and small."""
    exact, other = (logits_of(load(folder, kind), IDS[1]) for kind in (Precision.FP32, Precision.BF16))
    assert 0 < agreement(exact, other, IDS[1]).divergence.mean() < 1


def test_finds_the_exact_logits_of_each_text(tmp_path: Path) -> None:
    """The texts of prose are numbered after the prompts."""
    known = [np.eye(len(ids), 600, number, dtype=np.float32) for number, ids in enumerate(IDS)]
    for number, logits in enumerate(known):
        np.save(tmp_path / f"{number}.npy", logits)
    exact = Exact(prompts=IDS[:2], prose=IDS[2:], folder=tmp_path, replies=[])
    found = exact.agreement(lambda ids: known[[len(each) for each in IDS].index(len(ids))], exact.prose, 2)
    assert len(found.same_top) == len(IDS[2])
    assert found.divergence.abs().max() < 1e-6
