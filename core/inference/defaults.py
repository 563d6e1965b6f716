"""Generation defaults that a model's authors publish, for folders without a `generation_config.json`.

Without them a small model repeats itself. Sources are the model cards on Hugging Face, of instruct models and without
thinking. Penalties and filters that Parley's sampler does not have are left out (min_p, presence_penalty).
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Defaults: TypeAlias = Mapping[str, object]
"""Options by their names in `generation_config.json`."""

GREEDY: Final[Defaults] = {"do_sample": False}


def _sampled(temperature: float, top_p: float, top_k: int = 0, repetition_penalty: float = 1.0) -> Defaults:
    return {
        "do_sample": True,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "repetition_penalty": repetition_penalty,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Defaults of the models of a type whose option `field` in `config.json` is one of `values`."""

    model_type: str
    defaults: Defaults
    field: str = "hidden_size"
    values: Container[int] = range(1 << 16)


PUBLISHED: Final = (
    # Qwen/Qwen2.5-0.5B-Instruct, Qwen/Qwen2.5-1.5B-Instruct
    Published(model_type="qwen2", values=range(2000), defaults=_sampled(0.7, 0.8, 20, 1.1)),
    # Qwen/Qwen2.5-3B-Instruct, Qwen/Qwen2.5-7B-Instruct
    Published(model_type="qwen2", defaults=_sampled(0.7, 0.8, 20, 1.05)),
    # Qwen/Qwen3-0.6B, "non-thinking mode"
    Published(model_type="qwen3", defaults=_sampled(0.7, 0.8, 20)),
    # Qwen/Qwen3.5-0.8B and 2B, "non-thinking mode for text tasks"
    Published(model_type="qwen3_5_text", values=range(2049), defaults=_sampled(1.0, 1.0, 20)),
    # Qwen/Qwen3.5-4B, "non-thinking mode for general tasks"
    Published(model_type="qwen3_5_text", defaults=_sampled(0.7, 0.8, 20)),
    # HuggingFaceTB/SmolLM2-135M-Instruct; only its vocabulary tells it from other Llama models
    Published(model_type="llama", field="vocab_size", values=(49_152,), defaults=_sampled(0.2, 0.9)),
    # meta-llama/Llama-3.2-1B-Instruct
    Published(model_type="llama", field="vocab_size", values=(128_256,), defaults=_sampled(0.6, 0.9)),
    # HuggingFaceTB/SmolLM3-3B
    Published(model_type="smollm3", defaults=_sampled(0.6, 0.95)),
    # google/gemma-3-270m-it
    Published(model_type="gemma3_text", defaults=_sampled(1.0, 0.95, 64)),
    # ibm-granite/granite-3.3-2b-instruct and ibm-granite/granite-4.0-350m, whose examples are greedy
    Published(model_type="granite", defaults=GREEDY),
    Published(model_type="granitemoehybrid", defaults=GREEDY),
    # LiquidAI/LFM2.5-350M, and docs.liquid.ai, "recommended settings"
    Published(model_type="lfm2", defaults=_sampled(0.1, 0.1, 50, 1.05)),
)
"""The first that fits a model counts."""


def published_defaults(config: Mapping[str, object]) -> Defaults:
    """The published defaults of a model with this `config.json`; greedy if there are none."""
    for published in PUBLISHED:
        if config.get("model_type") == published.model_type and config.get(published.field) in published.values:
            return published.defaults
    return GREEDY
