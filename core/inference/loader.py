"""From a folder to a model that is ready to run: offline, safetensors only, never any code of the model's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from core.errors import ConfigError, ModelDamaged, NoKernels
from core.inference.batching.detokenise import TextStream
from core.inference.batching.network import Network
from core.inference.batching.prefix import BLOCK, PrefixCache
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.batching.sequence import Job, Sampling, Sequence
from core.inference.hardware import cores
from core.inference.heap import giving_back
from core.inference.native.library import open_kernels
from core.inference.networks.decoder import Decoder, block_bytes
from core.inference.tokens.template import ChatTemplate, load_template
from core.inference.tokens.vocabulary import Vocabulary, load_vocabulary
from core.inference.weights.precision import DTYPES, Precision
from core.inference.weights.shape import Shape, lean_shape
from core.inference.weights.store import load_packed
from core.models import find_model, read_json, verify_model

GENERATION = "generation_config.json"
TRANSFORMERS_TOP_K = 50
"""What transformers takes where a `generation_config.json` that samples does not say."""
MAX_BLOCKS = 1 << 14
"""A quarter of a million tokens: a small model's need not fill all memory that it may."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a model is to be run. `max_context` bounds the tokens of prompt and reply, 0 is the model's own limit;
    `cache_bytes` bounds the keys and values of all rows and of what is kept for later ones; `threads` 0 is all cores.
    """

    precision: Precision = Precision.AUTO
    max_context: int = 0
    cache_bytes: int = 512 << 20
    threads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model and everything that is known about it. `ends` are the tokens that end a reply, `max_new_tokens` is how
    long one gets where the request does not say.
    """

    name: str
    network: Network
    vocabulary: Vocabulary
    template: ChatTemplate
    ends: frozenset[int]
    sampling: Sampling
    max_new_tokens: int
    max_model_len: int

    @property
    def facts(self) -> Mapping[str, str]:
        """What the operator wants to know."""
        return {"model": self.name, "dtype": self.network.dtype, "path": self.network.path}

    @property
    def allowed(self) -> NDArray[np.bool]:
        """What may be sampled, bool [vocabulary]. Plain text and ends; no control token, and no row of padding."""
        allowed = np.zeros(self.network.vocabulary, bool)
        allowed[: len(self.vocabulary.tokens)] = True
        allowed[[token for token in self.vocabulary.control if token < len(allowed)]] = False
        allowed[list(self.ends)] = True
        return allowed


@giving_back()
def load_model(name: str, data_dir: Path, options: LoadOptions) -> LoadedModel:
    """Finds, verifies and loads a model. Raises ModelMissing, ModelDamaged or ConfigError.

    `data_dir` also keeps what is made once for this machine: the compiled decoder and the quantised weights.
    """
    folder = find_model(name, data_dir)
    verify_model(folder)
    vocabulary = load_vocabulary(folder / "tokenizer.json")
    template = load_template(folder, vocabulary)
    config = read_json(folder / "config.json")
    if "quantization_config" in config:
        raise ModelDamaged(str(folder / "config.json"), "quantised checkpoints are not served")
    network = _open_network(folder, config, data_dir, options)
    generation = read_json(folder / GENERATION) if (folder / GENERATION).exists() else {}
    ends = _ends(generation.get("eos_token_id", config.get("eos_token_id")), template.end)
    if network.vocabulary <= max(len(vocabulary.tokens) - 1, template.start, *ends):
        raise ModelDamaged(str(folder), "its tokenizer has tokens that its network does not know")
    max_model_len = min(options.max_context or network.context, network.context, network.blocks * BLOCK)
    _warm_up(network, template.build([]))
    return LoadedModel(
        name=folder.name if Path(name).is_dir() else name,
        network=network,
        vocabulary=vocabulary,
        template=template,
        ends=ends,
        sampling=_sampling(folder, generation),
        max_new_tokens=int(_number(folder, generation, "max_new_tokens", max_model_len)),
        max_model_len=max_model_len,
    )


def _open_network(folder: Path, config: Mapping[str, object], data_dir: Path, options: LoadOptions) -> Network:
    """The lean decoder where it knows the architecture and the machine can have it, else transformers."""
    shape = lean_shape(config)
    try:
        if shape:
            return _open_lean(folder, shape, data_dir, options)
        log.info("transformers runs this model", reason="the lean decoder does not know its architecture")
    except NoKernels as error:
        log.warning("transformers runs this model, several times slower", reason=error.reason)
    from core.inference.networks.generic import open_generic  # noqa: PLC0415  torch takes seconds and 250 MB

    return open_generic(folder, config, options.precision, threads=options.threads or cores())


def _open_lean(folder: Path, shape: Shape, data_dir: Path, options: LoadOptions) -> Decoder:
    dtype = DTYPES[options.precision]
    blocks = min(options.cache_bytes // block_bytes(shape, dtype), MAX_BLOCKS)
    if not blocks:
        raise ConfigError("engine.cache_bytes", f"holds less than {BLOCK} tokens")
    kernels = open_kernels(data_dir)
    packed = load_packed(folder, shape, dtype, data_dir / "quantised")
    return Decoder(packed, shape, dtype, kernels, blocks=blocks, threads=options.threads or cores())


def _warm_up(network: Network, prompt: list[int]) -> None:
    """Pages the weights in before anybody waits for them."""
    job = Job(id="", user="", prompt=tuple(prompt), max_tokens=1, sampling=Sampling(), seed=0)
    scheduler = Scheduler(Limits(), PrefixCache(len(prompt), reuse=False))
    sequence = Sequence(job=job, text=TextStream())
    scheduler.add(sequence)
    network.run(scheduler.schedule())
    scheduler.remove(sequence)
    network.run(scheduler.schedule())


def _ends(declared: object, end_of_message: int) -> frozenset[int]:
    """The model's own end tokens, one or several, and the end of a message in any case."""
    listed = declared if isinstance(declared, list) else [declared]
    return frozenset([end_of_message, *(token for token in listed if isinstance(token, int))])


def _sampling(folder: Path, generation: Mapping[str, object]) -> Sampling:
    """The defaults that `transformers` would take from the model's `generation_config.json`."""
    return Sampling(
        temperature=_number(folder, generation, "temperature", 1.0) if generation.get("do_sample") else 0.0,
        top_k=int(_number(folder, generation, "top_k", TRANSFORMERS_TOP_K)),
        top_p=_number(folder, generation, "top_p", 1.0),
        repetition_penalty=_number(folder, generation, "repetition_penalty", 1.0),
    )


def _number(folder: Path, generation: Mapping[str, object], name: str, otherwise: float) -> float:
    value = generation.get(name)
    if value is not None and not isinstance(value, int | float):
        raise ModelDamaged(str(folder / GENERATION), f"{name} is not a number")
    return otherwise if value is None else value
