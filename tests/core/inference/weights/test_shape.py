"""Which models the lean decoder supports."""

import pytest

from core.inference.weights.shape import Multipliers, lean_shape

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


GRANITE_4: dict[str, object] = QWEN | {
    "model_type": "granitemoehybrid",
    "layer_types": ["attention"] * 24,
    "num_local_experts": 0,
    "shared_intermediate_size": 2048,
    "position_embedding_type": "rope",
}


def test_scaled_rotary_frequencies_are_read() -> None:
    """Llama 3.2's `rope_scaling` is part of the shape; without all of its values there is no shape."""
    scaling = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    found = lean_shape(QWEN | {"rope_scaling": scaling | {"original_max_position_embeddings": 8192}})
    assert found
    assert found.scaling
    assert (found.scaling.factor, found.scaling.original_context, found.theta) == (32.0, 8192, 1e6)
    assert lean_shape(QWEN | {"rope_scaling": scaling}) is None


def test_layers_without_rotary_embedding() -> None:
    """SmolLM3 lists its rotated layers or an interval, 4 by default; Granite 4 may rotate none."""
    smollm3 = QWEN | {"model_type": "smollm3", "num_hidden_layers": 8}
    changes: list[tuple[dict[str, object], tuple[int, ...]]] = [
        ({}, (3, 7)),
        ({"no_rope_layer_interval": 3}, (2, 5)),
        ({"no_rope_layers": [1, 0, 1, 1, 1, 1, 1, 1]}, (1,)),
    ]
    for change, expected in changes:
        found = lean_shape(smollm3 | change)
        assert found
        assert found.unrotated == expected
    rotated, unrotated = lean_shape(GRANITE_4), lean_shape(GRANITE_4 | {"position_embedding_type": None})
    assert rotated
    assert unrotated
    assert (rotated.unrotated, unrotated.unrotated) == ((), tuple(range(24)))


def test_the_multipliers_of_granite_count_for_granite_only() -> None:
    """The attention multiplier is relative to 1 / sqrt(head_dim), and logits are divided by their scaling."""
    values = {"embedding_multiplier": 12, "attention_multiplier": 0.25, "residual_multiplier": 0.5, "logits_scaling": 4}
    granite, qwen = lean_shape(GRANITE_4 | values), lean_shape(QWEN | values)
    assert granite
    assert qwen
    assert granite.multipliers == Multipliers(embedding=12.0, attention=2.0, residual=0.5, logits=0.25)
    assert qwen.multipliers == Multipliers()


@pytest.mark.parametrize("change", [{"num_local_experts": 8}, {"layer_types": None}, {"layer_types": ["mamba"]}])
def test_granite_with_experts_or_state_space_layers_has_no_shape(change: dict[str, object]) -> None:
    """Only Granite 4's dense models with attention in all layers are supported."""
    assert lean_shape(GRANITE_4) is not None
    assert lean_shape(GRANITE_4 | change) is None


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
