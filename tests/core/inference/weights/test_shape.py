"""Which models the lean decoder supports."""

import pytest

from core.inference.weights.shape import lean_shape

QWEN: dict[str, object] = {
    "model_type": "qwen2",
    "hidden_act": "silu",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "sliding_window": 32_768,
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}


def test_old_and_new_configurations_are_read() -> None:
    """The rotary base is read from the top level (published Qwen2.5) and from `rope_parameters` (newer files)."""
    old = lean_shape(QWEN)
    new = lean_shape(QWEN | {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}})
    assert old == new
    assert old
    assert (old.head_dim, old.theta, old.tied) == (64, 1e6, True)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gemma3"},
        {"hidden_act": "gelu"},
        {"use_sliding_window": True},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6}},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"mlp_bias": True},
        {"num_key_value_heads": 3},
        {"hidden_size": 900},
        {"hidden_size": "wide"},
        {"num_attention_heads": 0},
        {"vocab_size": None},
    ],
)
def test_unsupported_models_have_no_shape(change: dict[str, object]) -> None:
    """Other architectures, activations, attention or rotary scaling, and unfit or missing sizes give None."""
    assert lean_shape(QWEN) is not None
    assert lean_shape(QWEN | change) is None
