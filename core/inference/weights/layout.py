"""Tensors of a model: packed names, and the names in a transformers checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.inference.weights.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tensor of a checkpoint: its rows, and a constant that its values are multiplied by."""

    rows: int
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Checkpoint tensors that are packed as one, concatenated by rows; of each layer, or of the whole model.

    `parts` is keyed by their names in transformers, with "{}" for the layer number.
    """

    parts: Mapping[str, Part]
    layers: int = 1

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts.values())

    def tensors(self, kind: str) -> list[Mapping[str, Part]]:
        """For each layer, its tensors of a kind ("weight" or "bias") by their names."""
        return [
            {f"{name.format(layer)}.{kind}": part for name, part in self.parts.items()} for layer in range(self.layers)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Stack):
    """Matrices with the same input, of `columns` elements."""

    columns: int


def matrices(shape: Shape) -> Mapping[str, Matrix]:
    """All matrices by their packed names. Granite's multipliers become factors of the weights."""
    hidden, factors = shape.hidden, shape.multipliers
    queries = Part(rows=shape.heads * shape.head_dim, factor=factors.attention)
    keys = Part(rows=shape.kv_heads * shape.head_dim)
    into_residual = Part(rows=hidden, factor=factors.residual)
    gate_up, down = _mlp(shape)

    def in_layers(columns: int, parts: Mapping[str, Part]) -> Matrix:
        return Matrix(parts=_in_layers(parts), layers=shape.layers, columns=columns)

    def once(name: str, factor: float = 1.0) -> Matrix:
        return Matrix(parts={name: Part(rows=shape.vocabulary, factor=factor)}, columns=hidden)

    found = {
        "qkv": in_layers(hidden, {"self_attn.q_proj": queries, "self_attn.k_proj": keys, "self_attn.v_proj": keys}),
        "out": in_layers(queries.rows, {"self_attn.o_proj": into_residual}),
        "gate_up": in_layers(hidden, gate_up),
        "down": in_layers(shape.intermediate, {down: into_residual}),
        "embedding": once("model.embed_tokens", factors.embedding),
    }
    return found if shape.tied else {**found, "head": once("lm_head")}


def head(shape: Shape) -> str:
    """The packed name of the matrix that gives the logits."""
    return "embedding" if shape.tied else "head"


def _mlp(shape: Shape) -> tuple[Mapping[str, Part], str]:
    """The parts of the gate and up projections, and the name of the down projection."""
    inner = shape.intermediate
    if shape.fused_mlp:
        return {"shared_mlp.input_linear": Part(rows=2 * inner)}, "shared_mlp.output_linear"
    return {"mlp.gate_proj": Part(rows=inner), "mlp.up_proj": Part(rows=inner)}, "mlp.down_proj"


def weight_count(shape: Shape) -> int:
    """Numbers in all matrices of a model."""
    return sum(matrix.layers * matrix.rows * matrix.columns for matrix in matrices(shape).values())


def norms(shape: Shape) -> Mapping[str, Stack]:
    """All norms by their packed names; `query_norm` and `key_norm` exist in some models only (Qwen3).

    The last norm scales the logits, and undoes the embedding's factor if the head shares its weights.
    """
    hidden, head, factors = Part(rows=shape.hidden), Part(rows=shape.head_dim), shape.multipliers
    of_layers = {
        "attention_norm": {"input_layernorm": hidden},
        "mlp_norm": {"post_attention_layernorm": hidden},
        "query_norm": {"self_attn.q_norm": head},
        "key_norm": {"self_attn.k_norm": head},
    }
    stacks = {name: Stack(parts=_in_layers(parts), layers=shape.layers) for name, parts in of_layers.items()}
    last = Part(rows=shape.hidden, factor=factors.logits / (factors.embedding if shape.tied else 1.0))
    return {**stacks, "norm": Stack(parts={"model.norm": last})}


def _in_layers(parts: Mapping[str, Part]) -> Mapping[str, Part]:
    return {f"model.layers.{{}}.{name}": part for name, part in parts.items()}
