"""Open the lean decoder: quantise the weights of a model at its first start, and map them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from core.errors import ConfigError, ModelDamaged
from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.calibration.inputs import BLOCKS, observed_moments
from core.inference.calibration.loss import divergence
from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.choice import LARGE, choose, known_choice, remember
from core.inference.hardware import cores
from core.inference.native.library import Pool, open_kernels
from core.inference.networks.decoder import Decoder, block_bytes
from core.inference.tokens.template import ChatTemplate
from core.inference.weights.gptq import Gptq, Moments
from core.inference.weights.layout import weight_count
from core.inference.weights.packing import Int4, Quantise, to_nearest
from core.inference.weights.precision import DECODER_DTYPES, INT8, KvPrecision, Precision, kv_dtype
from core.inference.weights.shape import Shape
from core.inference.weights.store import load_packed, quantised_folder
from core.progress import Progress, unwatched

MAX_BLOCKS = 1 << 14
"""Limit of the KV cache, 262,144 tokens: a small model would take `cache_bytes` without need."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How to run a model.

    `max_context` limits prompt and reply together, in tokens; 0 is the model's own limit. `cache_bytes` limits the KV
    cache of running sequences and kept prefixes. `threads` 0 uses all cores.
    """

    precision: Precision
    kv_precision: KvPrecision
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
    *,
    large: int = LARGE,
) -> Decoder:
    """The decoder of a model. Raises NoKernels, ModelDamaged, or ConfigError if the cache is too small.

    With "auto", a model of at least `large` weights is judged at its first start.
    """
    if weight_count(shape) > 2 * checkpoint.weights:  # packing names a single tensor that does not fit
        raise ModelDamaged(str(checkpoint.path), "its weights do not fit its configuration: they are too few")
    opening = _Opening(
        checkpoint=checkpoint,
        shape=shape,
        template=template,
        keep=quantised_folder(data_dir),
        pool=Pool(open_kernels(data_dir), options.threads or cores()),
        kv_precision=options.kv_precision,
        cache_bytes=options.cache_bytes,
        progress=progress,
    )
    return opening.automatic(large) if options.precision is Precision.AUTO else opening.decoder(options.precision)


@dataclass(frozen=True, kw_only=True)
class _Opening:
    """Opens the decoder of a model in any precision. int4 weights are rounded for the inputs of the int8 model."""

    checkpoint: Checkpoint
    shape: Shape
    template: ChatTemplate
    keep: Path
    pool: Pool
    kv_precision: KvPrecision
    cache_bytes: int
    progress: Progress

    def automatic(self, large: int) -> Decoder:
        if known := known_choice(self.checkpoint, self.shape, self.keep, large=large):
            return self.decoder(known.dtype)
        int8, int4 = self._int8, self.decoder(Precision.INT4)  # in this order: the last one's weights are kept
        choice = choose(divergence(int8, int4, self.template))
        remember(choice, self.checkpoint, self.shape, self.keep)
        log.info("chose a precision", model=self.checkpoint.name, dtype=choice.dtype.value, reason=choice.reason)
        return int4 if choice.dtype is Precision.INT4 else self.decoder(Precision.INT8)

    def decoder(self, precision: Precision) -> Decoder:
        dtype = DECODER_DTYPES[precision]
        blocks = min(self.cache_bytes // block_bytes(self.shape, kv_dtype(dtype, self.kv_precision)), MAX_BLOCKS)
        if not blocks:
            raise ConfigError("engine.cache_bytes", f"holds less than one block of {BLOCK_SIZE} tokens")
        return self._open(dtype, blocks, self._gptq, self.progress)

    def _open(self, dtype: np.dtype[Any], blocks: int, int4: Int4, progress: Progress) -> Decoder:
        packed = load_packed(self.checkpoint, self.shape, dtype, self.keep, progress, int4)
        return Decoder(packed, self.shape, dtype, kv_dtype(dtype, self.kv_precision), self.pool, blocks=blocks)

    def _gptq(self, name: str, layer: int) -> Quantise:
        return Gptq(self._moments[name][layer], self.pool).quantise

    @cached_property
    def _moments(self) -> Mapping[str, Sequence[Moments]]:
        return observed_moments(self._int8, self.template)

    @cached_property
    def _int8(self) -> Decoder:
        """The model that int4 is rounded for and judged by. It reads one conversation at a time."""
        return self._open(INT8, BLOCKS, to_nearest, unwatched)
