"""From a checkpoint's tensors to packed ones: fused, quantised where asked for, in the kernels' order."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from core.inference.quantise import activation_limit, panels, quantise, whole_panels
from core.inference.shape import Shape

Read: TypeAlias = Callable[[str], Tensor | None]
"""A tensor of the checkpoint by its name in transformers, None where there is none."""

MATRICES = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""The four matrices of a layer, each of those that share an input."""
NORMS = {
    "attention_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
    "query_norm": "self_attn.q_norm",
    "key_norm": "self_attn.k_norm",
}


class Unpackable(Exception):
    """A checkpoint lacks a weight, or has it in another shape."""


def pack(read: Read, shape: Shape, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Each packed tensor with its name. One layer is in memory at a time."""
    for layer in range(shape.layers):
        for name, parts in MATRICES.items():
            sources = [f"model.layers.{layer}.{part}" for part in parts]
            yield from _matrix(f"{layer}.{name}", [read(f"{source}.weight") for source in sources], dtype)
            yield from _bias(f"{layer}.{name}", [read(f"{source}.bias") for source in sources])
        for name, source in NORMS.items():
            weight = read(f"model.layers.{layer}.{source}.weight")
            if weight is not None:
                yield f"{layer}.{name}", weight.float()
    yield from _matrix("embedding", [read("model.embed_tokens.weight")], dtype)
    if not shape.tied:
        yield from _matrix("head", [read("lm_head.weight")], dtype)
    norm = read("model.norm.weight")
    if norm is None:
        raise Unpackable("model.norm.weight is missing")
    yield "norm", norm.float()


def _matrix(name: str, parts: list[Tensor | None], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    weight = _joined(name, parts)
    if dtype is torch.int8:
        weight, scale = quantise(weight)
        yield f"{name}.scale", whole_panels(scale)
        yield f"{name}.limit", torch.tensor([activation_limit(weight)])
    yield name, panels(weight.to(dtype))


def _bias(name: str, parts: list[Tensor | None]) -> Iterator[tuple[str, Tensor]]:
    if any(part is not None for part in parts):
        yield f"{name}.bias", whole_panels(_joined(name, parts))


def _joined(name: str, parts: list[Tensor | None]) -> Tensor:
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        raise Unpackable(f"{name} is incomplete")
    return torch.cat(present) if len(present) > 1 else present[0]
