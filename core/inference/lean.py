"""Open the lean decoder: quantise the weights of a model at its first start, and map them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ConfigError, ModelDamaged
from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.calibration.inputs import BLOCKS, observed_moments
from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.hardware import cores
from core.inference.native.library import Pool, open_kernels
from core.inference.networks.decoder import Decoder, block_bytes
from core.inference.tokens.template import ChatTemplate
from core.inference.weights.gptq import Gptq, Moments
from core.inference.weights.layout import weight_count
from core.inference.weights.packing import Int4, Quantise, to_nearest
from core.inference.weights.precision import DECODER_DTYPES, INT8, Precision
from core.inference.weights.shape import Shape
from core.inference.weights.store import load_packed
from core.progress import Progress, unwatched

MAX_BLOCKS = 1 << 14
"""Limit of the KV cache, 262,144 tokens: a small model would take `cache_bytes` without need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How to run a model.

    `max_context` limits prompt and reply together, in tokens; 0 is the model's own limit. `cache_bytes` limits the KV
    cache of running sequences and kept prefixes. `threads` 0 uses all cores.
    """

    precision: Precision
    max_context: int
    cache_bytes: int
    threads: int


def open_lean(
    checkpoint: Checkpoint,
    shape: Shape,
    template: ChatTemplate,
    data_dir: Path,
    options: LoadOptions,
    progress: Progress,
) -> Decoder:
    """The decoder of a model. Raises NoKernels, ModelDamaged, or ConfigError if the cache is too small.

    int4 weights are rounded for the inputs of the int8 model while it reads conversations of ours.
    """
    if weight_count(shape) > 2 * checkpoint.weights:  # packing names a single tensor that does not fit
        raise ModelDamaged(str(checkpoint.path), "its weights do not fit its configuration: they are too few")
    dtype = DECODER_DTYPES[options.precision]
    blocks = min(options.cache_bytes // block_bytes(shape, dtype), MAX_BLOCKS)
    if not blocks:
        raise ConfigError("engine.cache_bytes", f"holds less than one block of {BLOCK_SIZE} tokens")
    pool = Pool(open_kernels(data_dir), options.threads or cores())

    def open_decoder(kind: np.dtype[Any], blocks: int, int4: Int4, progress: Progress) -> Decoder:
        packed = load_packed(checkpoint, shape, kind, data_dir / "quantised", progress, int4)
        return Decoder(packed, shape, kind, pool, blocks=blocks)

    @cache
    def moments() -> Mapping[str, Sequence[Moments]]:
        return observed_moments(open_decoder(INT8, BLOCKS, to_nearest, unwatched), template)

    def gptq(name: str, layer: int) -> Quantise:
        return Gptq(moments()[name][layer], pool).quantise

    return open_decoder(dtype, blocks, gptq, progress)
