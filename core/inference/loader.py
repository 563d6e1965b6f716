"""Load a model from its files: offline, and without running code from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from core.clock import SystemClock
from core.errors import ModelDamaged, NoKernels
from core.heap import return_freed_memory
from core.inference.batching.network import Network
from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.batching.prompts import prompts_step
from core.inference.batching.scheduler import Step
from core.inference.batching.sequence import MAX_PENALTY, MIN_PENALTY, Sampling
from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.defaults import published_defaults
from core.inference.hardware import cores
from core.inference.lean import LoadOptions, open_lean
from core.inference.networks.installed import UNKNOWN_ARCHITECTURE, require_transformers
from core.inference.tokens.template import ChatMessage, ChatTemplate, Role, load_template
from core.inference.tokens.vocabulary import Vocabulary, load_vocabulary
from core.inference.weights.shape import lean_shape
from core.models import find_model
from core.progress import Progress, unwatched

TRANSFORMERS_TOP_K = 50
"""Default of transformers if `generation_config.json` samples without a `top_k`."""
MAX_NEW_TOKENS = 2048
"""Default length limit of a reply: the KV cache has to have room for the longest possible one before it begins."""
LARGEST = 1 << 31
"""Bound of numbers in the generation settings."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to run.

    `fingerprint` tells its weights and their type from others of the same name.
    `eos_ids` are the tokens that end a reply; `max_new_tokens` is the default length limit of a reply; `max_model_len`
    is the context length in tokens.
    """

    name: str
    fingerprint: str
    network: Network
    vocabulary: Vocabulary
    template: ChatTemplate
    eos_ids: frozenset[int]
    sampling: Sampling
    max_new_tokens: int
    max_model_len: int

    @property
    def facts(self) -> Mapping[str, str]:
        """Model, dtype and implementation, for the log."""
        return {"model": self.name, "dtype": self.network.dtype, "path": self.network.path}

    @property
    def allowed(self) -> NDArray[np.bool]:
        """Tokens that may be sampled, bool [vocabulary]: plain text and EOS, no other control token, no padding row."""
        allowed = np.zeros(self.network.vocabulary_size, bool)
        allowed[: len(self.vocabulary.tokens)] = True
        allowed[[token for token in self.vocabulary.control if token < len(allowed)]] = False
        allowed[list(self.eos_ids)] = True
        return allowed


@return_freed_memory()
def load_model(name: str, data_dir: Path, options: LoadOptions, progress: Progress = unwatched) -> LoadedModel:
    """Find, verify and load a model. Raises ModelMissing, ModelDamaged or ConfigError.

    `data_dir` also holds the files generated for this machine: the compiled decoder and the quantised weights,
    whose making `progress` follows.
    """
    checkpoint = open_checkpoint(find_model(name, data_dir))
    vocabulary = load_vocabulary(checkpoint.tokenizer, str(checkpoint.path))
    template = load_template(checkpoint.chat_template, checkpoint.special_tokens, vocabulary, SystemClock())
    network = _open_network(checkpoint, template, data_dir, options, progress)
    config, path = checkpoint.config, str(checkpoint.path)
    generation = published_defaults(config) if checkpoint.generation is None else checkpoint.generation
    eos_ids = _eos_ids(generation.get("eos_token_id", config.get("eos_token_id")), template.end)
    opening = template.build([ChatMessage(role=Role.USER, text="")])
    if network.vocabulary_size <= max(len(vocabulary.tokens) - 1, *opening, *eos_ids):
        raise ModelDamaged(path, "its tokenizer has ids beyond the vocabulary of its network")
    limits = (options.max_context or network.context_length, network.context_length, network.blocks * BLOCK_SIZE)
    max_model_len = min(limits)
    _warm_up(network, opening)
    return LoadedModel(
        name=checkpoint.name if Path(name).exists() or checkpoint.path.is_file() else name,
        fingerprint=f"{checkpoint.fingerprint}-{network.dtype}",
        network=network,
        vocabulary=vocabulary,
        template=template,
        eos_ids=eos_ids,
        sampling=_sampling(path, generation),
        max_new_tokens=int(_number(path, generation, "max_new_tokens", min(MAX_NEW_TOKENS, max_model_len), low=1)),
        max_model_len=max_model_len,
    )


def _open_network(
    checkpoint: Checkpoint, template: ChatTemplate, data_dir: Path, options: LoadOptions, progress: Progress
) -> Network:
    """The lean decoder, or transformers if the architecture is not supported or there are no kernels.

    Raises TransformersMissing if that is not installed.
    """
    shape, path = lean_shape(checkpoint.config), str(checkpoint.path)
    try:
        if shape:
            return open_lean(checkpoint, shape, template, data_dir, options, progress)
        require_transformers(path, UNKNOWN_ARCHITECTURE)
        log.info("transformers runs this model", reason=UNKNOWN_ARCHITECTURE)
    except NoKernels as error:
        require_transformers(path, f"there are no kernels ({error.reason})")
        log.warning("transformers runs this model, several times slower", reason=error.reason)
    from core.inference.networks.generic import open_generic  # noqa: PLC0415  torch takes seconds and 250 MB

    return open_generic(checkpoint, options.precision, threads=options.threads or cores())


def _warm_up(network: Network, prompt: list[int]) -> None:
    """Run one step, so that the weights are paged in before the first request."""
    step = prompts_step([prompt])
    network.run(step)
    network.run(Step(chunks=(), removed=tuple(chunk.sequence for chunk in step.chunks)))


def _eos_ids(declared: object, end_of_message: int) -> frozenset[int]:
    """The model's EOS tokens, one id or a list, and the end-of-message token."""
    listed = declared if isinstance(declared, list) else [declared]
    return frozenset([end_of_message, *(token for token in listed if isinstance(token, int))])


def _sampling(path: str, generation: Mapping[str, object]) -> Sampling:
    """Default sampling options from `generation_config.json`, as transformers reads it, or from the published ones."""
    return Sampling(
        temperature=_number(path, generation, "temperature", 1.0, high=5.0) if generation.get("do_sample") else 0.0,
        top_k=int(_number(path, generation, "top_k", TRANSFORMERS_TOP_K, low=-1)),
        top_p=_number(path, generation, "top_p", 1.0, high=1.0),
        repetition_penalty=_number(path, generation, "repetition_penalty", 1.0, low=MIN_PENALTY, high=MAX_PENALTY),
    )


def _number(
    path: str, generation: Mapping[str, object], name: str, default: float, *, low: float = 0, high: float = LARGEST
) -> float:
    value = generation.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or not low <= value <= high:
        raise ModelDamaged(path, f"{name} in its generation settings is not a number from {low:g} to {high:g}")
    return value
