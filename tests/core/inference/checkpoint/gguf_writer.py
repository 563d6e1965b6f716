"""Writes GGUF files from small folders in the format of transformers, as llama.cpp's converter does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from core.inference.arrays import Floats

INTERLEAVED = {"llama", "granite", "smollm3"}
"""Architectures whose query and key rows the converter reorders."""


def write_gguf(
    folder: Path,
    path: Path,
    *,
    type_: Type = Type.F32,
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, NDArray[np.uint8] | Floats | None] | None = None,
) -> Path:
    """Write the model in a folder with its matrices in a type. `metadata` and `tensors` replace values; None removes
    one.
    """
    config = json.loads((folder / "config.json").read_text())
    name = config["model_type"]
    writer = gguf.GGUFWriter(path, name)
    for key, value in (_metadata(folder, config) | dict(metadata or {})).items():
        _add(writer, key, value)
    for key, tensor in (_tensors(folder, config) | dict(tensors or {})).items():
        if tensor is None:
            continue
        own = type_ if tensor.ndim > 1 and tensor.dtype == np.float32 else Type.F32
        writer.add_tensor(key, gguf.quantize(tensor, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    if value is None:
        return
    match value:
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)
        case _:
            raise TypeError(value)


def _metadata(folder: Path, config: Mapping[str, Any]) -> dict[str, object]:
    name = config["model_type"]
    rope = config.get("rope_parameters") or {}
    keys = {
        "block_count": config["num_hidden_layers"],
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": _kv_heads(config),
        "attention.key_length": config.get("head_dim"),
        "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps", config.get("norm_eps")),
        "shortconv.l_cache": config.get("conv_L_cache"),
        "rope.freq_base": rope["rope_theta"],
        "embedding_scale": config.get("embedding_multiplier"),
        "residual_scale": config.get("residual_multiplier"),
        "attention.scale": config.get("attention_multiplier"),
        "logit_scale": config.get("logits_scaling"),
    }
    return {f"{name}.{key}": value for key, value in keys.items()} | tokenizer_metadata(
        folder, vocabulary_size=config["vocab_size"]
    )


def _kv_heads(config: Mapping[str, Any]) -> int | list[int]:
    """Key heads; for each layer if some have no attention."""
    heads: int = config["num_key_value_heads"]
    layers = config.get("layer_types") or []
    return [0 if layer == "conv" else heads for layer in layers] if "conv" in layers else heads


def tokenizer_metadata(folder: Path, *, vocabulary_size: int) -> dict[str, object]:
    """The tokenizer of a folder. Ids beyond the tokenizer's own are marked as unused."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    spec = json.loads((folder / "tokenizer.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    added = tokenizer.get_added_tokens_decoder()
    known = tokenizer.get_vocab_size()
    types = [1] * known + [5] * (vocabulary_size - known)
    for token, entry in added.items():
        types[token] = 3 if entry.special else 4
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in spec["model"]["merges"]]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [tokenizer.id_to_token(token) or f"[PAD{token}]" for token in range(vocabulary_size)],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "tokenizer.ggml.bos_token_id": tokenizer.token_to_id("<|endoftext|>"),
        "tokenizer.chat_template": settings.get("chat_template"),
    }


def _tensors(folder: Path, config: Mapping[str, Any]) -> dict[str, Floats | NDArray[np.uint8] | None]:
    name = str(config["model_type"])
    names = gguf.get_tensor_name_map(
        next(code for code, known in gguf.MODEL_ARCH_NAMES.items() if known == name), config["num_hidden_layers"]
    )
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    found: dict[str, Floats | NDArray[np.uint8] | None] = {}
    for theirs, tensor in load_file(folder / "model.safetensors").items():
        part = theirs.split(".")[-2]
        written = interleaved(tensor, heads[part]) if name in INTERLEAVED and part in heads else tensor
        ours = names.get_name(theirs, (".weight", ".bias"))
        assert ours
        found[ours] = np.ascontiguousarray(written.squeeze(), np.float32)
    return found


def interleaved(tensor: Floats, heads: int) -> Floats:
    """The rows of each head, the first half between the second."""
    split = tensor.reshape(heads, 2, -1, *tensor.shape[1:])
    return split.swapaxes(1, 2).reshape(tensor.shape)
