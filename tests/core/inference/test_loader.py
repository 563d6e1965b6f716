"""What a model's folder may and may not do."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from structlog.testing import capture_logs
from transformers import Qwen2ForCausalLM

from core.errors import ConfigError, ModelDamaged, ModelMissing
from core.inference.batching.sequence import Sampling
from core.inference.hardware import has_fast_bf16
from core.inference.loader import LoadedModel, load_model
from core.inference.networks.generic import open_generic
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options
from tests.core.inference.rows import logits
from tests.core.inference.tiny import write_tiny_model

Edit = Callable[[Path], object]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return copytree(tiny_folder, tmp_path / "model")


def change(path: Path, **values: object) -> None:
    """Sets keys of a JSON file; None takes one out."""
    settings = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))


def load(folder: Path, precision: Precision = Precision.FP32, max_context: int = 0) -> LoadedModel:
    return load_model(str(folder), folder, load_options(precision=precision, max_context=max_context))


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors")


def with_a_smaller_network(folder: Path) -> None:
    """Weights for fewer tokens than the tokenizer has."""
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:290].clone()
    save_file(weights, folder / "model.safetensors")
    change(folder / "config.json", vocab_size=290)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: change(folder / "config.json", model_type="no-such-model"),
        lambda folder: change(folder / "config.json", model_type=None),
        lambda folder: change(folder / "config.json", hidden_size=32),
        lambda folder: change(folder / "config.json", hidden_size="wide"),
        lambda folder: change(folder / "config.json", num_hidden_layers=3),
        lambda folder: change(folder / "config.json", intermediate_size=256),
        lambda folder: change(folder / "config.json", num_key_value_heads=4),
        lambda folder: change(folder / "config.json", vocab_size=5000),
        lambda folder: change(folder / "config.json", auto_map={"AutoConfig": "evil.Config"}),
        lambda folder: change(folder / "config.json", quantization_config={"quant_method": "gptq"}),
        lambda folder: change(folder / "generation_config.json", do_sample=True, temperature="hot"),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "BPE"}}'),
        lambda folder: change(folder / "tokenizer.json", added_tokens=[]),
        lambda folder: change(folder / "tokenizer.json", added_tokens=[{"id": "x"}]),
        lambda folder: change(folder / "generation_config.json", eos_token_id=99_999),
        without_a_weight,
        with_a_smaller_network,
    ],
)
def test_damage_is_named_and_nothing_else_is_raised(folder: Path, damage: Edit) -> None:
    """Whatever is wrong with a folder, the error is a ModelDamaged."""
    damage(folder)
    with pytest.raises(ModelDamaged):
        load(folder)


def test_a_missing_model_is_missing(tmp_path: Path) -> None:
    """A name behind which there is nothing is a ModelMissing that says how to get it."""
    with pytest.raises(ModelMissing, match="parley model pull org/name"):
        load_model("org/name", tmp_path, load_options())


def test_a_word_tokenizer_is_refused(folder: Path) -> None:
    """Only byte-level tokenizers have exact bytes for each token."""
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["model"] = {"type": "WordLevel", "vocab": {"hello": 0, "<unk> 你": 1}, "unk_token": "hello"}
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(ModelDamaged, match="byte-level"):
        load(folder)


def test_a_folder_cannot_point_elsewhere(folder: Path) -> None:
    """Attention kernels from a hub, other weight files and adapters that a folder asks for are not loaded."""
    torch.save({"evil": torch.zeros(1)}, folder / "pytorch_model.bin")
    change(
        folder / "config.json",
        attn_implementation="evil/kernel",
        _attn_implementation="evil/kernel",
        _attn_implementation_internal="evil/kernel",
        transformers_weights="adapter_model.bin",
    )
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "evil/base", "peft_type": "LORA"})
    )
    config = json.loads((folder / "config.json").read_text())
    network = open_generic(folder, config, Precision.FP32, threads=1).model
    assert isinstance(network, Qwen2ForCausalLM)
    assert network.config._attn_implementation == "sdpa"


def test_pickled_weights_are_refused(folder: Path) -> None:
    """Weights that only come as a pickle are not loaded."""
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelDamaged, match="pickled"):
        load(folder)


def test_loading_connects_to_nobody(folder: Path) -> None:
    """Nothing is looked up or fetched while a model loads, by name or by address, and caught again on the way."""
    seen: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, _: seen.append(event) if watching[0] and event.startswith("socket.") else None)
    load(folder)
    watching[0] = False
    assert seen == []


def test_shards_are_put_together(folder: Path, tiny: LoadedModel) -> None:
    """A model whose weights lie in several files is the same model."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(weights)}
    for shard in set(names.values()):
        save_file({name: weights[name] for name in weights if names[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert np.array_equal(logits(load(folder), [1, 2, 3]), logits(tiny, [1, 2, 3]))


def test_sampling_defaults_are_those_of_transformers(folder: Path) -> None:
    """A `generation_config.json` that does not sample is greedy; one that does has its values, or transformers' own."""
    assert load(folder).sampling.temperature == 0
    path = folder / "generation_config.json"
    change(path, do_sample=True)
    assert load(folder).sampling == Sampling(temperature=1.0, top_k=50, top_p=1.0, repetition_penalty=1.0)
    change(path, temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.1)
    assert load(folder).sampling == Sampling(temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.1)
    path.unlink()
    assert load(folder).sampling.temperature == 0


def test_the_models_own_length_of_a_reply(folder: Path) -> None:
    """Where a model says how long its replies are at most, that is the default; else the context is the limit."""
    assert load(folder).max_new_tokens == 256
    change(folder / "generation_config.json", max_new_tokens=32)
    assert load(folder).max_new_tokens == 32
    change(folder / "generation_config.json", max_new_tokens="many")
    with pytest.raises(ModelDamaged, match="max_new_tokens"):
        load(folder)


def test_all_the_models_ends_end_a_reply(tiny: LoadedModel) -> None:
    """The end of a message and every end token that the model declares may be sampled."""
    names = {tiny.vocabulary.control[token] for token in tiny.eos_ids}
    assert names == {"<|im_end|>", "<|endoftext|>"}
    assert tiny.allowed[list(tiny.eos_ids)].all()


def test_context_is_the_smaller_of_the_limits(folder: Path) -> None:
    """The operator may lower the model's own context and cannot raise it."""
    assert [load(folder, max_context=limit).max_model_len for limit in (0, 100, 9999)] == [256, 100, 256]


def test_precision(folder: Path) -> None:
    """A precision that is asked for is taken; `auto` is int8."""
    precisions = (Precision.FP32, Precision.BF16, Precision.INT8, Precision.AUTO)
    held = [load(folder, precision).network.dtype for precision in precisions]
    assert held == ["float32", "bfloat16", "int8", "int8"]


def test_without_a_compiler_transformers_runs_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the decoder cannot be compiled, models are served all the same, and the operator is told by what."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with capture_logs() as logs:
        loaded = load(folder)
    assert loaded.facts["path"] == "transformers"
    assert [record["log_level"] for record in logs] == ["warning"]
    assert "no-such-compiler" in logs[0]["reason"]


def test_the_lean_decoder_needs_no_torch(folder: Path) -> None:
    """A process that serves a model of the family never loads torch: that takes more memory than the whole gateway."""
    script = (
        "import sys; from pathlib import Path; import core.inference.__main__;"
        "from core.inference.loader import load_model; from tests.core.inference.options import load_options;"
        "load_model(sys.argv[1], Path(sys.argv[1]), load_options());"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, folder], check=True)


def test_another_architecture_runs_on_transformers(tmp_path: Path) -> None:
    """What the lean decoder does not know is served by transformers' own forward."""
    folder = write_tiny_model(tmp_path)
    change(folder / "config.json", use_sliding_window=True, sliding_window=4, max_window_layers=0, layer_types=None)
    assert load(folder).facts["path"] == "transformers"


@pytest.mark.parametrize("precision", [Precision.AUTO, Precision.INT8])
def test_transformers_keeps_halved_weights_where_the_cpu_can(
    folder: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    """Without int8, a float32 checkpoint stays as it is, and a bfloat16 one where that is not slower."""
    monkeypatch.setenv("CC", "no-such-compiler")
    assert load(folder, precision).network.dtype == "float32"
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, folder / "model.safetensors")
    kept = "bfloat16" if has_fast_bf16() else "float32"
    assert load(folder, precision).network.dtype == kept
    assert load(folder, Precision.FP32).network.dtype == "float32"


def test_a_cache_too_small_for_a_block_is_refused(folder: Path) -> None:
    """The operator is told which setting leaves no room for a single row."""
    with pytest.raises(ConfigError, match=r"engine\.cache_bytes"):
        load_model(str(folder), folder, load_options(cache_bytes=100))


def test_a_small_cache_bounds_the_context(folder: Path) -> None:
    """No row is admitted that could never be given its blocks."""
    one_block = 2 * 2 * 2 * 16 * 16 * 2  # keys and values, layers, heads, their width, tokens, bytes of a float16
    assert load_model(str(folder), folder, load_options(cache_bytes=3 * one_block)).max_model_len == 48
