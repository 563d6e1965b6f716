"""Models in GGUF files have the logits of the same models in folders."""

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from core.errors import ModelDamaged
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.hardware import has_fast_bf16
from core.inference.loader import LoadedModel, load_model
from core.inference.weights.precision import INT8, Precision
from core.inference.weights.shape import lean_shape
from core.inference.weights.store import load_packed
from tests.core.inference.checkpoint.gguf_writer import write_gguf
from tests.core.inference.options import load_options
from tests.core.inference.rows import logits
from tests.core.inference.tiny import write_tiny_model

IDS = list(range(100))
ROPE_OF_LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.1,
    "residual_multiplier": 0.3,
    "logits_scaling": 4.0,
}


def load(path: Path, data_dir: Path) -> LoadedModel:
    return load_model(str(path), data_dir, load_options(precision=Precision.FP32, max_context=128))


def write_model(folder: Path, kind: str, changes: dict[str, object]) -> Path:
    """A tiny model of another architecture, whose norms and biases are random too."""
    write_tiny_model(folder)
    config = json.loads((folder / "config.json").read_text())
    kept = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    sizes = {name: config[name] for name in (*kept, "num_key_value_heads", "max_position_embeddings", "eos_token_id")}
    torch.manual_seed(1)
    settings = AutoConfig.for_model(kind, **sizes | {"initializer_range": 0.3, "pad_token_id": None} | changes)
    AutoModelForCausalLM.from_config(settings, dtype=torch.float32).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    for name, tensor in weights.items():
        if tensor.ndim == 1:
            weights[name] = tensor + torch.randn_like(tensor) * 0.2
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("kind", "changes", "path"),
    [
        ("qwen2", {}, "kernels"),
        ("qwen2", {"tie_word_embeddings": False, "num_key_value_heads": 4}, "kernels"),
        ("qwen3", {"head_dim": 32}, "kernels"),
        ("llama", {"head_dim": 16, "num_key_value_heads": 1}, "kernels"),
        ("llama", {"attention_bias": True}, "kernels"),
        ("llama", {"mlp_bias": True, "attention_bias": True}, "transformers"),
        ("granite", MULTIPLIERS, "kernels"),
        ("smollm3", {}, "kernels"),
        ("olmo2", {}, "transformers"),
        ("lfm2", {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}, "transformers"),
    ],
)
def test_the_logits_are_those_of_the_folder(tmp_path: Path, kind: str, changes: dict[str, object], path: str) -> None:
    """Every architecture has the same logits from a GGUF file in float32 as from safetensors, on the same network."""
    folder = write_model(tmp_path, kind, changes)
    expected = load(folder, tmp_path)
    found = load(write_gguf(folder, tmp_path / "tiny.gguf"), tmp_path)
    assert path in found.network.path
    assert found.network.path == expected.network.path
    np.testing.assert_allclose(logits(found, IDS), logits(expected, IDS), rtol=1e-6, atol=1e-6)
    assert found.name == "tiny.gguf"
    assert found.eos_ids >= expected.eos_ids


@pytest.mark.parametrize("type_", [Type.Q8_0, Type.F16, Type.BF16])
def test_quantised_weights_are_those_of_the_floats(tiny_folder: Path, tmp_path: Path, type_: Type) -> None:
    """The int8 weights from a GGUF file are, bit by bit, those from the same weights in float32 safetensors."""
    folder = copytree(tiny_folder, tmp_path / "model")
    file = write_gguf(folder, tmp_path / "tiny.gguf", type_=type_)
    checkpoint = open_checkpoint(file)
    shape = lean_shape(checkpoint.config)
    assert shape
    names = load_file(folder / "model.safetensors")
    floats = {name: torch.tensor(source[:]) for name in names if (source := checkpoint.read(name))}
    assert floats.keys() == names.keys()
    save_file(floats, folder / "model.safetensors", metadata={"format": "pt"})
    from_file = load_packed(checkpoint, shape, INT8, tmp_path / "kept")
    from_folder = load_packed(open_checkpoint(folder), shape, INT8, tmp_path / "kept")
    assert from_file.keys() == from_folder.keys()
    assert all(np.array_equal(from_file[name], from_folder[name]) for name in from_file)


@pytest.mark.parametrize("type_", [Type.Q8_0, Type.Q5_0, Type.Q5_1, Type.Q4_0, Type.Q4_1])
def test_blocks_lose_nothing(tiny_folder: Path, tmp_path: Path, type_: Type) -> None:
    """The kernels have the logits of a file's blocks as floats, but for the rounding of activations. int4 has those of
    int8 to the last bit if the blocks are of four bits.
    """
    file = write_gguf(tiny_folder, tmp_path / "tiny.gguf", type_=type_)
    expected = logits(load(file, tmp_path), IDS)
    int8, int4 = (
        logits(load_model(str(file), tmp_path, load_options(precision=precision, max_context=128)), IDS)
        for precision in (Precision.INT8, Precision.INT4)
    )
    assert np.linalg.norm(int8 - expected) < 0.2 * np.linalg.norm(expected)
    assert np.array_equal(int4, int8) == (type_ in {Type.Q4_0, Type.Q4_1})


def test_query_rows_that_do_not_fit_the_heads_are_refused(tmp_path: Path) -> None:
    """A layer whose interleaved rows cannot be put back raises ModelDamaged, as any other shape does."""
    folder = write_model(tmp_path, "llama", {})
    query = {"blk.1.attn_q.weight": np.ones((65, 64), np.float32)}
    with pytest.raises(ModelDamaged, match=r"q_proj.weight has shape \[65, 64\]"):
        load(write_gguf(folder, tmp_path / "tiny.gguf", tensors=query), tmp_path)


def test_weights_that_transformers_does_not_use_are_refused(tmp_path: Path) -> None:
    """A bias for which the network of transformers has no place raises ModelDamaged, instead of being left out."""
    folder = write_model(tmp_path, "olmo2", {})
    bias = {"blk.0.attn_output.bias": np.ones(64, np.float32)}
    with pytest.raises(ModelDamaged, match="no place for some of its weights"):
        load(write_gguf(folder, tmp_path / "tiny.gguf", tensors=bias), tmp_path)


def test_transformers_runs_a_quantised_file_in_bf16_if_the_cpu_is_fast_at_it(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without kernels, quantised weights take as little memory as bfloat16 ones; float32 weights stay what they are."""
    monkeypatch.setenv("CC", "no-such-compiler")
    for type_, dtype in ((Type.Q8_0, "bfloat16" if has_fast_bf16() else "float32"), (Type.F32, "float32")):
        file = write_gguf(tiny_folder, tmp_path / f"{type_.name}.gguf", type_=type_)
        assert load_model(str(file), tmp_path, load_options(precision=Precision.AUTO)).network.dtype == dtype
