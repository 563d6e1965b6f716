"""Sizes of a model from its `config.json`, if the lean decoder supports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

FAMILY = {"qwen2", "qwen3", "llama"}
"""Supported values of `model_type`; they differ only in biases and in query and key norms."""
LANES = 16
"""The widths of a model must be multiples of the float32 lanes of a 512-bit SIMD register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a decoder. `tied` means that the output head shares the embedding's weights."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    epsilon: float
    theta: float
    tied: bool


def lean_shape(config: Mapping[str, object]) -> Shape | None:
    """The shape of a model from its `config.json`; None if the lean decoder does not support the model."""
    try:
        shape = _shape(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    widths = (shape.hidden, shape.intermediate, shape.head_dim)
    fits = shape.heads % shape.kv_heads == 0 and not any(width % LANES for width in widths)
    return shape if fits and config.get("model_type") in FAMILY and _is_plain(config) else None


def _shape(config: Mapping[str, object]) -> Shape:
    rope = _rope(config)
    hidden, heads = _int(config["hidden_size"]), _int(config["num_attention_heads"])
    return Shape(
        layers=_int(config["num_hidden_layers"]),
        hidden=hidden,
        intermediate=_int(config["intermediate_size"]),
        heads=heads,
        kv_heads=_int(config.get("num_key_value_heads") or heads),
        head_dim=_int(config.get("head_dim") or hidden // heads),
        vocabulary=_int(config["vocab_size"]),
        context=_int(config["max_position_embeddings"]),
        epsilon=float(cast("float", config["rms_norm_eps"])),
        theta=float(cast("float", rope.get("rope_theta", config.get("rope_theta", 10_000.0)))),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def _is_plain(config: Mapping[str, object]) -> bool:
    """Whether every layer has full attention, unscaled rotary embeddings, SiLU and no MLP bias."""
    layers = config.get("layer_types") or ()
    return (
        config.get("hidden_act", "silu") == "silu"
        and not config.get("use_sliding_window")
        and set(cast("tuple[str, ...]", layers)) <= {"full_attention"}
        and _rope(config).get("rope_type", _rope(config).get("type", "default")) == "default"
        and not config.get("mlp_bias")
    )


def _rope(config: Mapping[str, object]) -> Mapping[str, object]:
    """`rope_parameters`, or `rope_scaling` in older configurations."""
    return cast("Mapping[str, object]", config.get("rope_parameters") or config.get("rope_scaling") or {})


def _int(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError("a size must be a positive integer")
    return value
