import torch

from benchmarks.four_bits import GROUP, round_off


def test_a_group_has_sixteen_values_and_keeps_its_largest() -> None:
    """Rounding keeps the largest weight of a group and errs by at most one step, an eighth of that weight."""
    torch.manual_seed(0)
    weight = torch.randn(4, 3 * GROUP)
    groups, rounded = (matrix.reshape(4, 3, GROUP) for matrix in (weight, round_off(weight)))
    largest = groups.abs().amax(-1, keepdim=True)
    assert all(len(group.unique()) <= 16 for row in rounded for group in row)
    assert (rounded.abs().amax(-1, keepdim=True) - largest).abs().max() < 1e-6
    assert ((groups - rounded).abs() <= largest / 8 + 1e-6).all()


def test_a_group_of_zeros_stays_zero() -> None:
    """A group of zeros, whose scale would be zero, is not divided by it."""
    assert not round_off(torch.zeros(1, GROUP)).any()
