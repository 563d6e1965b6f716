"""Sizes of a model from its `config.json`, if the lean decoder supports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

SMOLLM_3, GRANITE_4, LLAMA_3 = "smollm3", "granitemoehybrid", "llama3"
GRANITE = {"granite", GRANITE_4}
FAMILY = {"qwen2", "qwen3", "llama", SMOLLM_3, *GRANITE}
"""Supported values of `model_type`. They differ in biases, query and key norms, layers without rotary embedding, and
constant factors. Granite 4's models without state space layers and experts are "granitemoehybrid" too.
"""
LANES = 16
"""The widths of a model must be multiples of the float32 lanes of a 512-bit SIMD register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """Llama 3.1's scaling of rotary frequencies to contexts longer than `original_context`."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_context: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Multipliers:
    """Constant factors of Granite, 1 in other models: of the embedding, of the attention scores beyond the usual
    1 / sqrt(head_dim), of each layer's contribution to the residual stream, and of the logits.
    """

    embedding: float = 1.0
    attention: float = 1.0
    residual: float = 1.0
    logits: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a decoder. `tied` means that the output head shares the embedding's weights; `fused_mlp` that the
    checkpoint has gate and up projection as one tensor. `unrotated` are the layers without rotary embedding.
    """

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
    scaling: RopeScaling | None
    unrotated: tuple[int, ...]
    multipliers: Multipliers
    tied: bool
    fused_mlp: bool


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
    hidden, heads = _int(config["hidden_size"]), _int(config["num_attention_heads"])
    layers, head_dim = _int(config["num_hidden_layers"]), _int(config.get("head_dim") or hidden // heads)
    is_granite4 = config.get("model_type") == GRANITE_4
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=_int(config["shared_intermediate_size" if is_granite4 else "intermediate_size"]),
        heads=heads,
        kv_heads=_int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        vocabulary=_int(config["vocab_size"]),
        context=_int(config["max_position_embeddings"]),
        epsilon=_float(config["rms_norm_eps"]),
        theta=_float(_rope(config).get("rope_theta", config.get("rope_theta", 10_000.0))),
        scaling=_scaling(_rope(config)),
        unrotated=_unrotated(config, layers),
        multipliers=_multipliers(config, head_dim) if config.get("model_type") in GRANITE else Multipliers(),
        tied=bool(config.get("tie_word_embeddings", False)),
        fused_mlp=is_granite4,
    )


def _is_plain(config: Mapping[str, object]) -> bool:
    """Whether every layer has full attention, a known rotary embedding, SiLU, no MLP bias and no experts."""
    is_granite4 = config.get("model_type") == GRANITE_4
    layers = config.get("layer_types") or (("linear_attention",) if is_granite4 else ())
    return (
        config.get("hidden_act", "silu") == "silu"
        and not config.get("use_sliding_window")
        and set(cast("tuple[str, ...]", layers)) <= {"full_attention", "attention"}
        and _rope_type(_rope(config)) in {"default", LLAMA_3}
        and not config.get("mlp_bias")
        and not (is_granite4 and config.get("num_local_experts", 8))
    )


def _rope(config: Mapping[str, object]) -> Mapping[str, object]:
    """`rope_parameters`, or `rope_scaling` in older configurations."""
    return cast("Mapping[str, object]", config.get("rope_parameters") or config.get("rope_scaling") or {})


def _rope_type(rope: Mapping[str, object]) -> object:
    return rope.get("rope_type", rope.get("type", "default"))


def _scaling(rope: Mapping[str, object]) -> RopeScaling | None:
    if _rope_type(rope) != LLAMA_3:
        return None
    return RopeScaling(
        factor=_float(rope["factor"]),
        low_frequency_factor=_float(rope["low_freq_factor"]),
        high_frequency_factor=_float(rope["high_freq_factor"]),
        original_context=_float(rope["original_max_position_embeddings"]),
    )


def _unrotated(config: Mapping[str, object], layers: int) -> tuple[int, ...]:
    """Layers without rotary embedding: a part of SmolLM3's, and all if Granite 4 names no position embedding."""
    if config.get("model_type") == GRANITE_4 and config.get("position_embedding_type") != "rope":
        return tuple(range(layers))
    if config.get("model_type") != SMOLLM_3:
        return ()
    interval = _int(config.get("no_rope_layer_interval", 4))
    is_rotated = config.get("no_rope_layers") or [(layer + 1) % interval for layer in range(layers)]
    return tuple(layer for layer, rotated in enumerate(cast("list[int]", is_rotated)[:layers]) if not rotated)


def _multipliers(config: Mapping[str, object], head_dim: int) -> Multipliers:
    return Multipliers(
        embedding=_float(config.get("embedding_multiplier", 1.0)),
        attention=_float(config.get("attention_multiplier", 1.0)) * head_dim**0.5,
        residual=_float(config.get("residual_multiplier", 1.0)),
        logits=1 / _float(config.get("logits_scaling", 1.0)),
    )


def _int(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError("a size must be a positive integer")
    return value


def _float(value: object) -> float:
    return float(cast("float", value))
