"""Checks of a `config.json`, before anything is allocated by what it says."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import ModelDamaged

Count: TypeAlias = Annotated[int, Field(ge=1, le=1 << 10)]
Width: TypeAlias = Annotated[int, Field(ge=1, le=1 << 20)]
Number: TypeAlias = Annotated[float, Field(gt=0, le=1e12)]


class Sizes(BaseModel):
    """The sizes that every architecture shares, with bounds far above any model that a CPU can run.

    An architecture may lack some of them, or name them differently; other fields are its own.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    num_hidden_layers: Count | None = None
    num_attention_heads: Count | None = None
    num_key_value_heads: Count | None = None
    hidden_size: Width | None = None
    intermediate_size: Width | Annotated[list[Width], Field(max_length=1 << 10)] | None = None
    shared_intermediate_size: Annotated[int, Field(ge=0, le=1 << 20)] | None = None
    head_dim: Width | None = None
    vocab_size: Annotated[int, Field(ge=1, le=1 << 22)] | None = None
    max_position_embeddings: Annotated[int, Field(ge=1, le=1 << 25)] | None = None
    num_local_experts: Annotated[int, Field(ge=0, le=1 << 10)] | None = None
    num_experts: Annotated[int, Field(ge=0, le=1 << 10)] | None = None
    rms_norm_eps: Annotated[float, Field(ge=0, le=1)] | None = None
    rope_theta: Number | None = None

    @property
    def fewest_weights(self) -> int:
        """Weights that any network of these sizes has: an embedding, and in each layer a square matrix."""
        hidden = self.hidden_size or 0
        return (self.vocab_size or 0) * hidden + (self.num_hidden_layers or 0) * hidden * hidden


def check_config(config: Mapping[str, object], weights: int, path: str) -> None:
    """Raises ModelDamaged if a size is no size or out of bounds, or if the files' `weights` cannot be so many."""
    try:
        sizes = Sizes.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ModelDamaged(path, f"{first['loc'][0]} in its configuration: {first['msg']}") from None
    heads, kv_heads = sizes.num_attention_heads, sizes.num_key_value_heads
    if heads and kv_heads and heads % kv_heads:
        raise ModelDamaged(path, f"its {heads} attention heads cannot share {kv_heads} keys")
    if sizes.fewest_weights > weights:
        raise ModelDamaged(path, f"its weights do not fit its configuration ({weights:,} are fewer than it needs)")
