"""Tensors of a Qwen2-family model: packed names, and the names in a transformers checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.inference.weights.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Checkpoint tensors that are packed as one, concatenated by rows; of each layer, or of the whole model.

    `parts` maps their names in transformers, with "{}" for the layer number, to their rows.
    """

    parts: Mapping[str, int]
    layers: int = 1

    @property
    def rows(self) -> int:
        return sum(self.parts.values())

    def tensors(self, kind: str) -> list[Mapping[str, int]]:
        """For each layer, the names of its tensors of a kind ("weight" or "bias") and their rows."""
        return [
            {f"{part.format(layer)}.{kind}": rows for part, rows in self.parts.items()} for layer in range(self.layers)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Stack):
    """Matrices with the same input, of `columns` elements."""

    columns: int


def matrices(shape: Shape) -> Mapping[str, Matrix]:
    """All matrices by their packed names."""
    hidden, inner = shape.hidden, shape.intermediate
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

    def in_layers(columns: int, parts: Mapping[str, int]) -> Matrix:
        return Matrix(parts=_in_layers(parts), layers=shape.layers, columns=columns)

    def once(part: str) -> Matrix:
        return Matrix(parts={part: shape.vocabulary}, columns=hidden)

    found = {
        "qkv": in_layers(hidden, {"self_attn.q_proj": queries, "self_attn.k_proj": keys, "self_attn.v_proj": keys}),
        "out": in_layers(queries, {"self_attn.o_proj": hidden}),
        "gate_up": in_layers(hidden, {"mlp.gate_proj": inner, "mlp.up_proj": inner}),
        "down": in_layers(inner, {"mlp.down_proj": hidden}),
        "embedding": once("model.embed_tokens"),
    }
    return found if shape.tied else {**found, "head": once("lm_head")}


def norms(shape: Shape) -> Mapping[str, Stack]:
    """All norms by their packed names; `query_norm` and `key_norm` exist in some models only (Qwen3)."""
    of_layers = {
        "attention_norm": {"input_layernorm": shape.hidden},
        "mlp_norm": {"post_attention_layernorm": shape.hidden},
        "query_norm": {"self_attn.q_norm": shape.head_dim},
        "key_norm": {"self_attn.k_norm": shape.head_dim},
    }
    stacks = {name: Stack(parts=_in_layers(parts), layers=shape.layers) for name, parts in of_layers.items()}
    return {**stacks, "norm": Stack(parts={"model.norm": shape.hidden})}


def _in_layers(parts: Mapping[str, int]) -> Mapping[str, int]:
    return {f"model.layers.{{}}.{part}": rows for part, rows in parts.items()}
