"""Bounds of a configuration, each one on its own: nothing else finds what it finds."""

import pytest

from core.errors import ModelDamaged
from core.inference.checkpoint.config import check_config

SIZES: dict[str, object] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "intermediate_size": [128, 256],
    "shared_intermediate_size": 0,
    "head_dim": 16,
    "vocab_size": 300,
    "max_position_embeddings": 256,
    "num_local_experts": 0,
    "num_experts": 0,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
}
WEIGHTS = 300 * 64 + 2 * 64 * 64


def test_ordinary_sizes_pass() -> None:
    """Sizes within the bounds pass, with just enough weights, and so does a configuration without any."""
    check_config(SIZES, WEIGHTS, "x")
    check_config({"n_layer": 1 << 40}, 0, "x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in SIZES for value in (-1, 1 << 60, True, "7")),
        *((name, 0) for name in ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size")),
        *((name, 0) for name in ("head_dim", "vocab_size", "max_position_embeddings", "rope_theta")),
        *((name, 1.5) for name in SIZES if name not in {"rms_norm_eps", "rope_theta"}),
        *((name, value) for name in ("rms_norm_eps", "rope_theta") for value in (float("nan"), float("inf"))),
        ("rope_theta", 1e13),
        ("intermediate_size", [128] * 1025),
        ("intermediate_size", [128, 0]),
        ("intermediate_size", [128, 1 << 40]),
    ],
)
def test_each_size_has_bounds(name: str, value: object) -> None:
    """A size that is no number of its kind, or that is far beyond any model's, is damage and named."""
    with pytest.raises(ModelDamaged, match=name):
        check_config(SIZES | {name: value}, 1 << 60, "x")


def test_heads_share_keys_evenly() -> None:
    """A number of attention heads that is no multiple of the keys is damage."""
    with pytest.raises(ModelDamaged, match="cannot share"):
        check_config(SIZES | {"num_key_value_heads": 3}, WEIGHTS, "x")


def test_the_files_hold_the_weights_of_the_sizes() -> None:
    """Files with fewer weights than the smallest network of these sizes are damage."""
    with pytest.raises(ModelDamaged, match="do not fit its configuration"):
        check_config(SIZES, WEIGHTS - 1, "x")
