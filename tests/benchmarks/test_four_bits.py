import torch

from benchmarks.four_bits import GROUP, round_off


def test_a_group_has_sixteen_values_and_keeps_its_largest() -> None:
    """Steps of an eighth of what is largest; the rest is off by half a step at most, where the sign has room."""
    torch.manual_seed(0)
    weight = torch.randn(4, 3 * GROUP)
    groups, rounded = (matrix.unflatten(1, (-1, GROUP)) for matrix in (weight, round_off(weight)))
    largest = groups.abs().amax(-1, keepdim=True)
    assert all(len(group.unique()) <= 16 for row in rounded for group in row)
    assert (rounded.abs().amax(-1, keepdim=True) - largest).abs().max() < 1e-6
    assert ((groups - rounded).abs() <= largest / 8 + 1e-6).all()


def test_nothing_but_zeros_stays_so() -> None:
    """A group without a largest weight has no scale to divide by."""
    assert not round_off(torch.zeros(1, GROUP)).any()
