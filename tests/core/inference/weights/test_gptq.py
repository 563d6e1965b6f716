"""GPTQ at every level that this processor can run: the errors of outputs, of which inputs are typical."""

from pathlib import Path

import numpy as np
import pytest

from core.inference.arrays import GROUP, Floats, Groups
from core.inference.native.library import Pool
from core.inference.weights.gptq import MAX_BLOCK, Gptq, Moments, no_moments
from core.inference.weights.quantise import HIGHEST, LOWEST, quantise_int4
from tests.core.inference.native.levels import LEVELS, kernels_of
from tests.core.inference.weights.matrices import floats, noise


@pytest.fixture(params=LEVELS, ids=lambda level: level.name)
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Pool:
    return Pool(kernels_of(request.param, tmp_path), threads=2)


def seen(inputs: Floats) -> Moments:
    moments = no_moments(inputs.shape[1])
    moments.add(inputs)
    return moments


def correlated(tokens: int, columns: int) -> Floats:
    """Inputs of a few directions, and some noise."""
    return noise(tokens, columns // 8, 1) @ noise(columns // 8, columns, 2) + noise(tokens, columns, 3)


@pytest.mark.parametrize("columns", [64, 2 * MAX_BLOCK])
def test_outputs_are_closer_for_inputs_that_were_seen(pool: Pool, columns: int) -> None:
    """Later columns make up for the errors of earlier ones: the error of outputs is less than half of that of rounding
    alone, also for other inputs of the kind, and in several blocks.
    """
    weight, inputs = noise(40, columns), correlated(2 * columns, columns)
    new = correlated(3 * columns, columns)[-columns:]
    blind, informed = (floats(Gptq(moments, pool).quantise(weight)) for moments in (no_moments(columns), seen(inputs)))
    errors = [np.square((found - weight) @ new.T).mean() for found in (informed, blind)]
    assert errors[0] < 0.5 * errors[1]


def test_int4_stays_as_it_is(pool: Pool) -> None:
    """Numbers times scales, each group with its largest number, have no error to pass on."""
    random = np.random.default_rng(1)
    numbers = random.integers(LOWEST, HIGHEST + 1, (20, 3, GROUP), np.int8)
    numbers[..., 5] = LOWEST
    signs = random.choice(np.array([-1, 1], np.float16), (20, 3))
    given = Groups(numbers=numbers, scales=(random.random((20, 3)) + 0.1).astype(np.float16) * signs)
    found = Gptq(seen(correlated(200, 96)), pool).quantise(floats(given))
    assert np.array_equal(found.numbers, numbers)
    assert np.array_equal(found.scales, given.scales)


def test_rows_do_not_depend_on_each_other(pool: Pool) -> None:
    """Rows that are quantised in pieces are those of the whole matrix."""
    weight, gptq = noise(40, 96), Gptq(seen(correlated(200, 96)), pool)
    whole, pieces = gptq.quantise(weight), [gptq.quantise(weight[start : start + 16]) for start in range(0, 40, 16)]
    assert np.array_equal(whole.numbers, np.concatenate([piece.numbers for piece in pieces]))


def test_columns_are_padded_to_whole_groups(pool: Pool) -> None:
    """With zeros; the other columns are rounded as they are without padding."""
    weight, inputs = noise(8, 80), noise(300, 80, 4)
    found = Gptq(seen(inputs), pool).quantise(weight)
    assert found.numbers.shape == (8, 3, GROUP)
    assert not found.numbers[:, 2, 16:].any()
    assert np.square(floats(found)[:, :80] - weight).mean() < 0.02


def test_long_tokens_count_no_more_than_others() -> None:
    """A token a thousand times as long as the others does not decide alone: only its direction is counted."""
    inputs = noise(50, 64)
    scaled = inputs * np.where(np.arange(50) == 7, 1000, 1)[:, None].astype(np.float32)
    for one, other in zip(seen(inputs).blocks, seen(scaled).blocks, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-2)


def test_inputs_that_are_always_zero_are_harmless(pool: Pool) -> None:
    """Columns that no text used, tokens that are zero, and no inputs at all."""
    inputs = noise(50, 64)
    inputs[:, 10:20], inputs[3] = 0, 0
    for moments in (seen(inputs), seen(np.zeros((4, 64), np.float32)), no_moments(64)):
        found = Gptq(moments, pool).quantise(noise(8, 64))
        assert np.square(floats(found) - noise(8, 64)).mean() < 0.02


def test_the_scale_with_the_least_error_is_taken(pool: Pool) -> None:
    """Noise is closer to its numbers than if the largest weight of each row were exact."""
    weight = noise(64, GROUP)
    found, exact_largest = Gptq(no_moments(GROUP), pool).quantise(weight), quantise_int4(weight)
    errors = [np.square(floats(each) - weight).mean() for each in (found, exact_largest)]
    assert errors[0] < 0.95 * errors[1]


def test_the_error_of_important_columns_counts(pool: Pool) -> None:
    """The columns whose inputs are largest are closer than if all mattered alike."""
    weight, inputs = noise(64, GROUP), noise(200, GROUP, 1)
    inputs[:, :4] *= 10
    errors = [
        np.square(floats(Gptq(moments, pool).quantise(weight)) - weight)[:, :4].mean()
        for moments in (seen(inputs), no_moments(GROUP))
    ]
    assert errors[0] < 0.7 * errors[1]


def test_all_rows_of_any_number_are_rounded(pool: Pool) -> None:
    """Rows that fill no register, and more than the threads take at once."""
    gptq = Gptq(no_moments(64), pool)
    for rows in (1, 7, 16, 33, 200):
        weight = noise(rows, 64, rows)
        assert np.square(floats(gptq.quantise(weight)) - weight).max() < 0.2
