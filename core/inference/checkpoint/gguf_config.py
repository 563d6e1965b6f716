"""The configuration in a GGUF file, as the content of a `config.json`. Only known architectures are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Final

import numpy as np

from core.inference.arrays import Floats
from core.inference.checkpoint.gguf_metadata import Metadata
from core.inference.checkpoint.gguf_tokenizer import eos_ids
from core.models.gguf import GgufTensor

EPSILON: Final = "attention.layer_norm_rms_epsilon"
FACTORS: Final[Mapping[str, str]] = {
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "attention.scale": "attention_multiplier",
    "logit_scale": "logits_scaling",
}
"""Granite's constant factors: their names in transformers by those in the metadata."""
FOREIGN: Final = ("expert_count", "attention.sliding_window", "attn_logit_softcapping", "final_logit_softcapping")
"""Values that change what a network computes, in ways that none of the architectures below has."""
LFM_2: Final = "lfm2"
ROPE_TYPES: Final = ("none", "linear", "yarn")
LLAMA_3_FACTORS: Final = (8.0, 32.0)
"""Factors of the scaled rotary embeddings of Llama 3.1 and 3.2. Their other numbers are the same."""
LOW, HIGH, ORIGINAL = 1.0, 4.0, 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """An architecture by its `model_type` in transformers. `interleaved`: query and key rows come in rotary pairs."""

    model_type: str
    interleaved: bool = False


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "llama": Architecture(model_type="llama", interleaved=True),
    "qwen2": Architecture(model_type="qwen2"),
    "qwen3": Architecture(model_type="qwen3"),
    "granite": Architecture(model_type="granite", interleaved=True),
    "smollm3": Architecture(model_type="smollm3", interleaved=True),
    "olmo2": Architecture(model_type="olmo2"),
    LFM_2: Architecture(model_type=LFM_2),
}
"""By their names in `general.architecture`. Of others the format changes values, such as Gemma's norms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of a model, which are those of its tensors. `attending` are the layers with attention."""

    layers: int
    context: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    attending: tuple[int, ...]


def architecture(metadata: Metadata) -> tuple[str, Architecture]:
    """The architecture and its name in the file. Raises ModelDamaged if it is not known, or in several files."""
    name = metadata.text("general.architecture") or ""
    if name not in ARCHITECTURES:
        raise metadata.damaged(f"its architecture, {name!r}, is not supported as GGUF")
    parts = metadata.number("split.count")
    if parts is not None and parts > 1:
        raise metadata.damaged(f"it is one of {parts:.0f} parts; join them with llama-gguf-split --merge")
    for key in FOREIGN:
        if metadata.number(f"{name}.{key}"):
            raise metadata.damaged(f"{key} is not supported for {name}")
    return name, ARCHITECTURES[name]


def read_sizes(metadata: Metadata, tensors: Mapping[str, GgufTensor], name: str) -> Sizes:
    """The sizes. Raises ModelDamaged unless they fit the tensors, so that no more than these is ever allocated."""

    def size(key: str, otherwise: int | None = None) -> int:
        found = metadata.size(f"{name}.{key}") or otherwise
        if found is None:
            raise metadata.damaged(f"{name}.{key} is missing")
        return found

    layers, heads, hidden = size("block_count"), size("attention.head_count"), size("embedding_length")
    _check_layers(metadata, tensors, layers)
    kv_heads = metadata.sizes(f"{name}.attention.head_count_kv", layers)
    embedding = tensors.get("token_embd.weight")
    sizes = Sizes(
        layers=layers,
        context=size("context_length"),
        hidden=hidden,
        inner=size("feed_forward_length"),
        heads=heads,
        kv_heads=max(kv_heads) or heads,
        head_dim=size("attention.key_length", max(hidden // heads, 1)),
        vocabulary=embedding.shape[0] if embedding else 0,
        attending=tuple(layer for layer, count in enumerate(kv_heads) if count or not any(kv_heads)),
    )
    if (rotated := size("rope.dimension_count", sizes.head_dim)) != sizes.head_dim:
        raise metadata.damaged(f"its rotary embedding covers {rotated} of {sizes.head_dim} dimensions")
    _check_shapes(metadata, tensors, sizes)
    return sizes


def _check_layers(metadata: Metadata, tensors: Mapping[str, GgufTensor], layers: int) -> None:
    found = {name.split(".")[1] for name in tensors if name.startswith("blk.")}
    if len(found) != layers or found != set(map(str, range(layers))):
        raise metadata.damaged(f"it has the weights of {len(found)} layers, not of {layers}")


def _check_shapes(metadata: Metadata, tensors: Mapping[str, GgufTensor], sizes: Sizes) -> None:
    attending = f"blk.{sizes.attending[0]}"
    expected = {
        "token_embd": (sizes.vocabulary, sizes.hidden),
        f"{attending}.attn_q": (sizes.heads * sizes.head_dim, sizes.hidden),
        f"{attending}.attn_k": (sizes.kv_heads * sizes.head_dim, sizes.hidden),
        "blk.0.ffn_up": (sizes.inner, sizes.hidden),
    }
    for part, shape in expected.items():
        found = tensors.get(f"{part}.weight")
        if found is None or found.shape != shape:
            is_there = "is missing" if found is None else f"is {list(found.shape)}, not {list(shape)}"
            raise metadata.damaged(f"its weights do not fit its metadata ({part} {is_there})")


def read_config(
    metadata: Metadata, tensors: Mapping[str, GgufTensor], name: str, sizes: Sizes, rope_factors: Floats | None
) -> Mapping[str, object]:
    """The content of a `config.json`. `rope_factors` are the divisors of the rotary frequencies, if there are any."""
    factors = {ours: metadata.number(f"{name}.{theirs}") for theirs, ours in FACTORS.items()}
    epsilon = metadata.number(f"{name}.{EPSILON}")
    if epsilon is None:
        raise metadata.damaged(f"{name}.{EPSILON} is missing")
    return {
        "model_type": ARCHITECTURES[name].model_type,
        "num_hidden_layers": sizes.layers,
        "max_position_embeddings": sizes.context,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.inner,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "vocab_size": sizes.vocabulary,
        "rms_norm_eps": epsilon,
        **{ours: factor for ours, factor in factors.items() if factor is not None},
        "rope_parameters": _rope(metadata, name, rope_factors, sizes.head_dim),
        "tie_word_embeddings": "output.weight" not in tensors,
        "attention_bias": "blk.0.attn_q.bias" in tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in tensors,
        "eos_token_id": eos_ids(metadata),
        **(_convolutions(metadata, sizes, epsilon) if name == LFM_2 else {}),
    }


def _convolutions(metadata: Metadata, sizes: Sizes, epsilon: float) -> Mapping[str, object]:
    """LFM2's layers without attention, which are convolutions."""
    return {
        "layer_types": ["full_attention" if layer in sizes.attending else "conv" for layer in range(sizes.layers)],
        "conv_L_cache": metadata.size(f"{LFM_2}.shortconv.l_cache"),
        "norm_eps": epsilon,
        "block_auto_adjust_ff_dim": False,
    }


def _rope(metadata: Metadata, name: str, factors: Floats | None, head_dim: int) -> Mapping[str, object]:
    theta = metadata.number(f"{name}.rope.freq_base") or 10_000.0
    kind = metadata.text(f"{name}.rope.scaling.type") or "none"
    if kind not in ROPE_TYPES:
        raise metadata.damaged(f"its rotary embedding is scaled in an unknown way ({kind!r})")
    if factors is not None:
        return _llama3(metadata, factors, theta, head_dim)
    factor = metadata.number(f"{name}.rope.scaling.factor") or 1.0
    if kind == "none" or factor == 1.0:
        return {"rope_type": "default", "rope_theta": theta}
    original = metadata.size(f"{name}.rope.scaling.original_context_length")
    limit = {"original_max_position_embeddings": original} if original else {}
    return {"rope_type": kind, "rope_theta": theta, "factor": factor, **limit}


def _llama3(metadata: Metadata, factors: Floats, theta: float, head_dim: int) -> Mapping[str, object]:
    """Llama 3's scaling, which the file does not name. The factors that result from it tell its parameters."""
    lengths = 2 * pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    share = np.clip((ORIGINAL / lengths - LOW) / (HIGH - LOW), 0, 1)
    for factor in LLAMA_3_FACTORS:
        expected = 1 / ((1 - share) / factor + share)
        if factors.shape == expected.shape and np.allclose(factors, expected, rtol=1e-3):
            return {
                "rope_type": "llama3",
                "rope_theta": theta,
                "factor": factor,
                "low_freq_factor": LOW,
                "high_freq_factor": HIGH,
                "original_max_position_embeddings": ORIGINAL,
            }
    raise metadata.damaged("its rotary frequencies are scaled in an unknown way")
