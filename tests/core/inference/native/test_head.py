"""The head in two stages against exact arithmetic, at every level that this processor can run."""

from pathlib import Path

import numpy as np
import pytest

from core.inference.arrays import Array, Floats, Groups
from core.inference.batching.prompts import prompts_step
from core.inference.native.library import Pool
from core.inference.networks.decoder import Decoder
from core.inference.weights.groups import group_panels
from core.inference.weights.packing import LARGE_VOCABULARY, PREVIEW
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.quantise import quantise_int4, quantise_int8
from core.inference.weights.shape import Multipliers, Shape
from tests.core.inference.native.levels import LEVELS, kernels_of
from tests.core.inference.weights.matrices import floats, noise

ROWS, COLUMNS = LARGE_VOCABULARY + 40, 96
LIKELIEST = 128
"""Panels whose logits are computed twice."""
SHAPE = Shape(
    layers=0,
    hidden=COLUMNS,
    intermediate=16,
    heads=1,
    kv_heads=1,
    head_dim=16,
    vocabulary=ROWS,
    context=64,
    epsilon=1e-6,
    theta=1e4,
    scaling=None,
    unrotated=(),
    multipliers=Multipliers(),
    tied=True,
    fused_mlp=False,
)
"""A head and nothing before it: the last panel has eight rows."""
HEAD = quantise_int8(noise(ROWS, COLUMNS))
ROUNDED = quantise_int4(floats(HEAD))


@pytest.fixture(params=LEVELS, ids=lambda level: level.name)
def decoder(request: pytest.FixtureRequest, tmp_path: Path) -> Decoder:
    packed: dict[str, Array] = {
        "embedding": group_panels(HEAD, INT8)[None],
        PREVIEW: group_panels(ROUNDED, INT4)[None],
        "norm": np.ones((1, COLUMNS), np.float32),
    }
    return Decoder(packed, SHAPE, INT8, INT8, Pool(kernels_of(request.param, tmp_path), threads=2), blocks=16)


def logits_by(head: Groups, inputs: Floats) -> Floats:
    """The logits of inputs that are rounded to int8 in groups: [tokens, rows]."""
    found: Floats = floats(quantise_int8(inputs)) @ floats(head).T
    return found


def normalised(ids: list[int]) -> Floats:
    embedded = floats(HEAD)[ids]
    found: Floats = embedded / np.sqrt(np.square(embedded).mean(1, keepdims=True))
    return found


def test_the_likeliest_rows_are_the_heads_own(decoder: Decoder) -> None:
    """The 64 panels with the largest logits of the int4 copy have those of the int8 head, all others keep theirs; the
    last panel is among the likeliest if one of its few rows is.
    """
    ids = [5, ROWS - 3]
    found = decoder.run(prompts_step([[each] for each in ids]))
    preview, exact = (logits_by(head, normalised(ids)) for head in (ROUNDED, HEAD))
    padded = np.pad(preview, ((0, 0), (0, -ROWS % 16)), constant_values=-np.inf)
    panels = np.argsort(-padded.reshape(len(ids), -1, 16).max(-1))[:, :LIKELIEST]
    assert ROWS // 16 in panels[1]
    for row, likeliest in enumerate(panels):
        is_exact = np.isin(np.arange(ROWS) // 16, likeliest)
        np.testing.assert_allclose(found[row], np.where(is_exact, exact[row], preview[row]), atol=0.02)
        assert np.abs(exact[row] - preview[row])[is_exact].max() > 1


def test_a_token_has_the_same_logits_in_any_batch(decoder: Decoder) -> None:
    ids = [[number] for number in range(0, ROWS, 1500)]
    together = decoder.run(prompts_step(ids))
    alone = [decoder.run(prompts_step([each])) for each in ids]
    assert np.array_equal(together, np.concatenate(alone))


def test_a_head_with_a_preview_is_not_read(decoder: Decoder) -> None:
    """A token reads the whole preview, and a few rows of the head."""
    assert decoder.weight_bytes == group_panels(ROUNDED, INT4).nbytes + 4 * COLUMNS
