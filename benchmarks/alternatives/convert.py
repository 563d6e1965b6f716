"""Converts a model for the alternatives: `python -m benchmarks.alternatives.convert FOLDER INTO NAME`.

NAME is a GGUF file for llama.cpp, "f32.gguf" or one of `KINDS`, or a folder: "ctranslate2" in int8 or "onnxruntime" in
int4. Skips what exists. Runs in the alternatives' environment.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

import gguf
import llama_cpp
from ctranslate2.converters import TransformersConverter
from gguf import GGUFWriter, LlamaFileType, TokenType
from safetensors.torch import load_file
from torch import Tensor, float32

EXACT = "f32.gguf"
KINDS = {
    "q8_0.gguf": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "q4_0.gguf": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_k_m.gguf": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}
"""Types of the files that llama.cpp's own quantiser writes, as its users have them."""


class Rope(TypedDict):
    """The `rope_parameters` of a `config.json`."""

    rope_theta: float


class QwenConfig(TypedDict):
    """The fields of a `config.json` that the conversion reads."""

    model_type: str
    vocab_size: int
    max_position_embeddings: int
    hidden_size: int
    num_hidden_layers: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    rope_parameters: Rope
    rms_norm_eps: float


class GenerationConfig(TypedDict):
    """The fields of a `generation_config.json` that the conversion reads."""

    bos_token_id: NotRequired[int]
    eos_token_id: list[int]


def convert(folder: Path, into: Path, name: str) -> Path:
    """The model in one format."""
    path = into / name
    if path.exists():
        return path
    into.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    if name == EXACT:
        write_gguf(folder, part)
    elif name in KINDS:
        quantise(convert(folder, into, EXACT), part, KINDS[name])
    elif name == "onnxruntime":
        export_onnx(folder, part)
    else:
        TransformersConverter(str(folder)).convert(str(part), quantization="int8", force=True)
    return part.rename(path)


def quantise(exact: Path, path: Path, kind: int) -> None:
    """Writes a GGUF file in fewer bits. llama.cpp chooses the type of each tensor."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = kind
    if failed := llama_cpp.llama_model_quantize(str(exact).encode(), str(path).encode(), settings):
        raise RuntimeError(f"llama_model_quantize returned {failed}")


def export_onnx(folder: Path, path: Path) -> None:
    """Writes a folder for ONNX Runtime GenAI, whose products are those of int8 activations: the fastest on a CPU."""
    command: list[str | Path] = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    command += ["-i", folder, "-o", path, "-c", path, "-p", "int4", "-e", "cpu"]
    subprocess.run([*command, "--extra_options", "accuracy_level=4"], check=True)


def write_gguf(folder: Path, path: Path) -> None:
    """Writes a model of the Qwen2 family as GGUF in fp32.

    No weight is permuted: llama.cpp rotates the halves of each head for this family, as transformers does. It uses the
    embeddings as the head if there is no other.
    """
    config: QwenConfig = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["model_type"] == "qwen2", "only this family is converted"
    writer = GGUFWriter(path, "qwen2")
    _write_settings(writer, config)
    _write_tokenizer(writer, folder, config["vocab_size"])
    _write_weights(writer, load_file(folder / "model.safetensors"), config["num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_settings(writer: GGUFWriter, config: QwenConfig) -> None:
    writer.add_file_type(LlamaFileType.ALL_F32)
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
    generation: GenerationConfig = json.loads((folder / "generation_config.json").read_text("utf-8"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(names)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]])
    if "bos_token_id" in generation:
        writer.add_bos_token_id(generation["bos_token_id"])
    writer.add_eos_token_id(generation["eos_token_id"][0])
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(_chat_template(folder))


def _chat_template(folder: Path) -> str:
    """The chat template, which has a file of its own since version 5 of transformers."""
    own = folder / "chat_template.jinja"
    if own.exists():
        return own.read_text("utf-8")
    template: str = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["chat_template"]
    return template


def _write_weights(writer: GGUFWriter, weights: Mapping[str, Tensor], layers: int) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, layers)
    for name, tensor in weights.items():
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert written, f"{name} is not a weight of this family"
        writer.add_tensor(written, tensor.to(float32).numpy())


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
