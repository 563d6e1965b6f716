"""Converts a model for the alternatives: `python -m benchmarks.alternatives.convert FOLDER INTO`.

Writes GGUF files for llama.cpp and an int8 folder for CTranslate2, and skips those that exist. Runs in the
alternatives' environment.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import gguf
import torch
from ctranslate2.converters import TransformersConverter
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, LlamaFileType, TokenType
from safetensors.torch import load_file
from torch import Tensor

TYPES = {
    "f32": (Type.F32, LlamaFileType.ALL_F32),
    "q8_0": (Type.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (Type.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}


class Rope(TypedDict):
    """The `rope_parameters` of a `config.json`."""

    rope_theta: float


class QwenConfig(TypedDict):
    """The fields of a `config.json` that the conversion reads."""

    vocab_size: int
    max_position_embeddings: int
    hidden_size: int
    num_hidden_layers: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    rope_parameters: Rope
    rms_norm_eps: float
    tie_word_embeddings: bool


def main(folder: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for name in TYPES:
        if not (path := into / f"{name}.gguf").exists():
            write_gguf(folder, path, name)
    if not (path := into / "ctranslate2").exists():
        TransformersConverter(str(folder)).convert(str(path), quantization="int8")


def write_gguf(folder: Path, path: Path, name: str) -> None:
    """Writes a model of the Qwen2 family with tied embeddings as GGUF.

    No weight is permuted: llama.cpp rotates the halves of each head for this family, as transformers does.
    """
    config: QwenConfig = json.loads((folder / "config.json").read_text("utf-8"))
    weights = load_file(folder / "model.safetensors")
    assert config["tie_word_embeddings"], "llama.cpp uses the embeddings as the head if there is no other"
    part = path.with_suffix(".part")
    writer = GGUFWriter(part, "qwen2")
    _write_settings(writer, config, TYPES[name][1])
    _write_tokenizer(writer, folder, config["vocab_size"])
    _write_weights(writer, weights, config["num_hidden_layers"], TYPES[name][0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(path)


def _write_settings(writer: GGUFWriter, config: QwenConfig, kind: LlamaFileType) -> None:
    writer.add_file_type(kind)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def _write_tokenizer(writer: GGUFWriter, folder: Path, size: int) -> None:
    """Writes the byte-level BPE with Qwen2's word pattern. Padding rows of the vocabulary get unused names."""
    spec = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    names = [f"[PAD{token}]" for token in range(size)]
    types = [TokenType.UNUSED] * size
    for name, token in spec["model"]["vocab"].items():
        names[token], types[token] = name, TokenType.NORMAL
    for added in spec["added_tokens"]:
        names[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    generation = json.loads((folder / "generation_config.json").read_text("utf-8"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(names)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]])
    writer.add_bos_token_id(generation["bos_token_id"])
    writer.add_eos_token_id(generation["eos_token_id"][0])
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(settings["chat_template"])


def _write_weights(writer: GGUFWriter, weights: Mapping[str, Tensor], layers: int, kind: Type) -> None:
    """Writes matrices in the given type, norms and biases in fp32."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, layers)
    for name, tensor in weights.items():
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert written, f"{name} is not a weight of this family"
        own = kind if tensor.dim() > 1 else Type.F32
        writer.add_tensor(written, gguf.quantize(tensor.to(torch.float32).numpy(), own), raw_dtype=own)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
