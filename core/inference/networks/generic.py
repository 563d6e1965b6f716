"""Any causal language model of transformers, by its own forward pass, one sequence after the other."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, DynamicCache, PreTrainedModel
from transformers.utils import logging as transformers_logging

from core.errors import ModelDamaged
from core.inference.arrays import Floats
from core.inference.batching.scheduler import Chunk, Step
from core.inference.checkpoint.checkpoint import Checkpoint, Source
from core.inference.hardware import has_fast_bf16
from core.inference.weights.precision import Precision

Build: TypeAlias = Callable[..., tuple[PreTrainedModel, Mapping[str, set[str]]]]
FALLBACK_CONTEXT = 2048
"""Context length, in tokens, if the configuration has none."""
NOMINAL_BLOCKS = 1 << 14
"""Never the limit: transformers allocates keys and values itself, as a sequence grows."""

ROWS_AT_ONCE = 4096
"""Rows of a tensor that are converted at a time: an embedding in float32 takes half a gigabyte."""

BUILD_ERRORS = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    OSError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)
"""Exceptions of the libraries if a configuration is invalid or does not fit the weights."""


class GenericNetwork:
    """A transformers model and the KV caches of its running sequences. Used by one thread only."""

    supports_prefix_cache = False
    max_speculative_step = 0
    blocks = NOMINAL_BLOCKS
    path = "transformers"

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._caches: dict[str, DynamicCache] = {}

    @property
    def vocabulary_size(self) -> int:
        return int(self.model.config.vocab_size)

    @property
    def context_length(self) -> int:
        return int(getattr(self.model.config, "max_position_embeddings", 0) or FALLBACK_CONTEXT)

    @property
    def dtype(self) -> str:
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.model.parameters())

    @property
    def cached_sequences(self) -> int:
        """Number of sequences with a KV cache."""
        return len(self._caches)

    @torch.inference_mode()
    def run(self, step: Step) -> Floats:
        for sequence in step.removed:
            self._caches.pop(sequence.job.id, None)
        logits = [(self._run(chunk), chunk.is_last) for chunk in step.chunks]
        rows = torch.cat([torch.empty(0, self.vocabulary_size), *(row[None] for row, is_last in logits if is_last)])
        found: Floats = rows.numpy()
        return found

    def _run(self, chunk: Chunk) -> Tensor:
        cache = self._caches.setdefault(chunk.sequence.job.id, DynamicCache(config=self.model.config))
        output = self.model(
            input_ids=torch.tensor([chunk.ids]), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        logits: Tensor = output.logits
        return logits[0, -1].float()


def open_generic(checkpoint: Checkpoint, precision: Precision, *, threads: int) -> GenericNetwork:
    """The network in evaluation mode. Raises ModelDamaged if it cannot be built.

    transformers gets the configuration and the weights as objects, not the files: nothing in them can make it load
    another file, an adapter or a kernel.
    """
    config, path = checkpoint.config, str(checkpoint.path)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(threads)
    try:
        kind = CONFIG_MAPPING[str(config["model_type"])]
        settings = kind.from_dict({name: _decoded(value) for name, value in config.items()})
        network_of = cast("type[PreTrainedModel]", MODEL_FOR_CAUSAL_LM_MAPPING[type(settings)])
        dtype = _dtype(checkpoint, precision)
        network, found = cast("Build", network_of.from_pretrained)(
            None,
            config=settings,
            state_dict=_weights(checkpoint, partial(network_of, settings), dtype),
            dtype=dtype,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except BUILD_ERRORS as error:
        raise ModelDamaged(path, f"transformers cannot build this model ({error})") from error
    if absent := found["missing_keys"] or found["mismatched_keys"]:
        raise ModelDamaged(path, f"{len(absent)} of its weights are missing or have another shape")
    network.eval()
    return GenericNetwork(network)


def _decoded(value: object) -> object:
    """A value of a configuration. transformers writes infinity as {"__float__": "Infinity"}."""
    if isinstance(value, dict):
        return (
            float(value["__float__"]) if "__float__" in value else {key: _decoded(each) for key, each in value.items()}
        )
    return [_decoded(each) for each in value] if isinstance(value, list) else value


def _weights(checkpoint: Checkpoint, build: Callable[[], PreTrainedModel], dtype: torch.dtype) -> Mapping[str, Tensor]:
    """The weights by their names in transformers. If the files do not have these names, the network has."""
    if checkpoint.translated:
        with torch.device("meta"):
            expected = build().state_dict()
        found = {name: source for name in expected if (source := checkpoint.read(name))}
        if len(found) < checkpoint.translated:
            raise ModelDamaged(str(checkpoint.path), "its architecture has no place for some of its weights")
        return {name: _tensor(source, expected[name].shape, dtype) for name, source in found.items()}
    return {name: tensor for file in checkpoint.files for name, tensor in load_file(file).items()}


def _tensor(source: Source, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """A tensor with the dimensions of size 1 that the network has and the file lacks, as in convolutions."""
    pieces = range(0, source.get_shape()[0], ROWS_AT_ONCE)
    tensor = torch.cat([torch.tensor(source[start : start + ROWS_AT_ONCE], dtype=dtype) for start in pieces])
    return tensor.reshape(shape) if [size for size in shape if size > 1] == source.get_shape() else tensor


def _dtype(checkpoint: Checkpoint, precision: Precision) -> torch.dtype:
    if precision in (Precision.AUTO, Precision.INT8, Precision.INT4):
        return torch.bfloat16 if has_fast_bf16() and checkpoint.fits_bf16 else torch.float32
    return torch.bfloat16 if precision is Precision.BF16 else torch.float32
