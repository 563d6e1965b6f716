"""Loading a model from a folder: damage, defaults, precision and isolation."""

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from structlog.testing import capture_logs
from transformers import Qwen2ForCausalLM

from core.errors import ConfigError, ModelDamaged, ModelMissing, TransformersMissing
from core.inference.batching.sequence import Sampling
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.hardware import has_fast_bf16
from core.inference.loader import LoadedModel, load_model
from core.inference.networks.generic import open_generic
from core.inference.weights.precision import INT4, KvPrecision, Precision
from core.inference.weights.store import load_packed
from tests.core.inference.options import load_options
from tests.core.inference.rows import logits
from tests.core.inference.tiny import shape_of, write_tiny_model

Edit = Callable[[Path], object]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return copytree(tiny_folder, tmp_path / "model")


def change(path: Path, **values: object) -> None:
    """Set keys of a JSON file; None removes a key."""
    settings = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))


def load(folder: Path, precision: Precision = Precision.FP32, max_context: int = 0) -> LoadedModel:
    return load_model(str(folder), folder, load_options(precision=precision, max_context=max_context))


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors")


def with_a_smaller_network(folder: Path) -> None:
    """A network with a smaller vocabulary than the tokenizer."""
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:290].clone()
    save_file(weights, folder / "model.safetensors")
    change(folder / "config.json", vocab_size=290)


def text_config(folder: Path) -> object:
    return json.loads((folder / "config.json").read_text())


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
        lambda folder: change(folder / "config.json", vocab_size=1 << 62),
        lambda folder: change(folder / "config.json", num_hidden_layers=1 << 40),
        lambda folder: change(folder / "config.json", num_hidden_layers=1000, model_type="gemma3_text"),
        lambda folder: change(folder / "config.json", vocab_size=1 << 21, model_type="gemma3_text"),
        lambda folder: change(folder / "config.json", intermediate_size=1 << 20),
        lambda folder: change(folder / "config.json", num_attention_heads=0),
        lambda folder: change(folder / "config.json", num_attention_heads=True),
        lambda folder: change(folder / "config.json", num_key_value_heads=3),
        lambda folder: change(folder / "config.json", intermediate_size=-1),
        lambda folder: change(folder / "config.json", head_dim=1 << 30),
        lambda folder: change(folder / "config.json", max_position_embeddings=1 << 60),
        lambda folder: change(folder / "config.json", rms_norm_eps=float("nan")),
        lambda folder: (folder / "chat_template.jinja").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "chat_template.jinja").write_text(
            "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = 1 %}{% endfor %}{% endfor %}"
        ),
        lambda folder: change(folder / "config.json", auto_map={"AutoConfig": "evil.Config"}),
        lambda folder: change(folder / "config.json", quantization_config={"quant_method": "gptq"}),
        lambda folder: change(folder / "config.json", quantization_config={}, text_config=text_config(folder)),
        lambda folder: change(folder / "generation_config.json", do_sample=True, temperature="hot"),
        lambda folder: change(folder / "generation_config.json", repetition_penalty=1e-38),
        lambda folder: change(folder / "generation_config.json", repetition_penalty=10.1),
        lambda folder: change(folder / "generation_config.json", do_sample=True, temperature=float("nan")),
        lambda folder: change(folder / "generation_config.json", top_p=7),
        lambda folder: change(folder / "generation_config.json", max_new_tokens=0),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "BPE"}}'),
        lambda folder: change(folder / "tokenizer.json", added_tokens=[]),
        lambda folder: change(folder / "tokenizer.json", added_tokens=[{"id": "x"}]),
        lambda folder: change(folder / "generation_config.json", eos_token_id=99_999),
        without_a_weight,
        with_a_smaller_network,
    ],
)
def test_damage_raises_model_damaged(folder: Path, damage: Edit) -> None:
    """Every kind of damage in a folder raises ModelDamaged and no other error."""
    damage(folder)
    with pytest.raises(ModelDamaged):
        load(folder)


def test_an_unknown_model_raises_model_missing(tmp_path: Path) -> None:
    """A name without a model raises ModelMissing, with the command that pulls it."""
    with pytest.raises(ModelMissing, match="parley model pull org/name"):
        load_model("org/name", tmp_path, load_options())


def test_a_word_tokenizer_is_refused(folder: Path) -> None:
    """A tokenizer that is not byte-level raises ModelDamaged: its tokens have no exact bytes."""
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["model"] = {"type": "WordLevel", "vocab": {"hello": 0, "<unk> 你": 1}, "unk_token": "hello"}
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(ModelDamaged, match="byte-level"):
        load(folder)


def test_a_folder_cannot_load_other_files(folder: Path) -> None:
    """Attention kernels from a hub, other weight files and adapters that a folder names are not loaded."""
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
    network = open_generic(open_checkpoint(folder), Precision.FP32, threads=1).model
    assert isinstance(network, Qwen2ForCausalLM)
    assert network.config._attn_implementation == "sdpa"


def test_pickled_weights_are_refused(folder: Path) -> None:
    """A model with pickled weights only raises ModelDamaged."""
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelDamaged, match="pickled"):
        load(folder)


def test_loading_opens_no_connection(folder: Path) -> None:
    """Loading a model makes no socket call, not even one whose error is handled."""
    seen: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, _: seen.append(event) if watching[0] and event.startswith("socket.") else None)
    load(folder)
    watching[0] = False
    assert seen == []


def test_shards_are_combined(folder: Path, tiny: LoadedModel) -> None:
    """A model with its weights in several files has the same logits."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(weights)}
    for shard in set(names.values()):
        save_file({name: weights[name] for name in weights if names[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert np.array_equal(logits(load(folder), [1, 2, 3]), logits(tiny, [1, 2, 3]))


def test_sampling_defaults_are_those_of_transformers(folder: Path) -> None:
    """A `generation_config.json` without sampling is greedy; with it, missing values are transformers' defaults."""
    assert load(folder).sampling.temperature == 0
    path = folder / "generation_config.json"
    change(path, do_sample=True)
    assert load(folder).sampling == Sampling(temperature=1.0, top_k=50, top_p=1.0, repetition_penalty=1.0)
    change(path, temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.1)
    assert load(folder).sampling == Sampling(temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.1)


def test_without_a_file_the_published_defaults_count(folder: Path) -> None:
    """Without `generation_config.json` the sampling defaults are those that the family's authors publish."""
    (folder / "generation_config.json").unlink()
    assert load(folder).sampling == Sampling(temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.1)


def test_the_default_length_limit_of_a_reply(folder: Path) -> None:
    """The model's own `max_new_tokens` is the default; without it the context is the limit, up to 2,048 tokens."""
    assert load(folder).max_new_tokens == 256
    change(folder / "config.json", max_position_embeddings=4096)
    assert load(folder).max_new_tokens == 2048
    change(folder / "generation_config.json", max_new_tokens=32)
    assert load(folder).max_new_tokens == 32
    change(folder / "generation_config.json", max_new_tokens="many")
    with pytest.raises(ModelDamaged, match="max_new_tokens"):
        load(folder)


def test_every_eos_token_may_be_sampled(tiny: LoadedModel) -> None:
    """The end-of-message token and every declared EOS token end a reply and may be sampled."""
    names = {tiny.vocabulary.control[token] for token in tiny.eos_ids}
    assert names == {"<|im_end|>", "<|endoftext|>"}
    assert tiny.allowed[list(tiny.eos_ids)].all()


def test_the_end_of_a_message_is_an_eos_token(folder: Path) -> None:
    """A folder that declares no EOS token ends replies with the token that ends messages in its template."""
    change(folder / "config.json", eos_token_id=None)
    (folder / "generation_config.json").unlink()
    loaded = load(folder)
    assert {loaded.vocabulary.control[token] for token in loaded.eos_ids} == {"<|im_end|>"}


def test_context_is_the_smaller_of_the_limits(folder: Path) -> None:
    """`max_context` can lower the model's own context length but not raise it."""
    assert [load(folder, max_context=limit).max_model_len for limit in (0, 100, 9999)] == [256, 100, 256]


def test_precision(folder: Path) -> None:
    """The configured precision is used; `auto` is int8."""
    precisions = (Precision.FP32, Precision.BF16, Precision.INT8, Precision.INT4, Precision.AUTO)
    held = [load(folder, precision).network.dtype for precision in precisions]
    assert held == ["float32", "bfloat16", "int8", "int4", "int8"]


def test_without_a_compiler_transformers_runs_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the decoder cannot be compiled, transformers runs the model, and a warning gives the reason."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with capture_logs() as logs:
        loaded = load(folder)
    assert loaded.facts["path"] == "transformers"
    assert [record["log_level"] for record in logs] == ["warning"]
    assert "no-such-compiler" in logs[0]["reason"]


def test_the_lean_decoder_needs_no_torch(folder: Path) -> None:
    """Serving a model of the family does not import torch, which takes more memory than the whole gateway."""
    script = (
        "import sys; from pathlib import Path; import core.inference.__main__;"
        "from core.inference.loader import load_model; from tests.core.inference.options import load_options;"
        "load_model(sys.argv[1], Path(sys.argv[1]), load_options());"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, folder], check=True)


def test_another_architecture_runs_on_transformers(tmp_path: Path) -> None:
    """An architecture that the lean decoder does not support runs on transformers."""
    folder = write_tiny_model(tmp_path)
    change(folder / "config.json", use_sliding_window=True, sliding_window=4, max_window_layers=0, layer_types=None)
    assert load(folder).facts["path"] == "transformers"


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_without_transformers_its_models_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """If one of the two is not installed, the line says why it is needed, and what to do."""
    folder = write_tiny_model(tmp_path)
    monkeypatch.setitem(sys.modules, name, None)
    assert load(folder).facts["path"] != "transformers"
    change(folder / "config.json", use_sliding_window=True, sliding_window=4, max_window_layers=0, layer_types=None)
    with pytest.raises(TransformersMissing, match=rf"its architecture, and {name} would be needed: install torch"):
        load(folder)


def test_without_kernels_and_transformers_no_model_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says why there are no kernels."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(TransformersMissing, match=r"there are no kernels .*no-such-compiler"):
        load(folder)


@pytest.mark.parametrize("precision", [Precision.AUTO, Precision.INT8, Precision.INT4])
def test_transformers_keeps_bf16_weights_if_the_cpu_is_fast_at_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    """On transformers a float32 checkpoint stays float32; a bfloat16 one stays bfloat16 if that is fast here."""
    monkeypatch.setenv("CC", "no-such-compiler")
    assert load(folder, precision).network.dtype == "float32"
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, folder / "model.safetensors")
    kept = "bfloat16" if has_fast_bf16() else "float32"
    assert load(folder, precision).network.dtype == kept
    assert load(folder, Precision.FP32).network.dtype == "float32"


def test_a_cache_too_small_for_a_block_is_refused(folder: Path) -> None:
    """A cache smaller than one block raises ConfigError with the name of the setting."""
    with pytest.raises(ConfigError, match=r"engine\.cache_bytes"):
        load_model(str(folder), folder, load_options(cache_bytes=100))


def test_a_small_cache_bounds_the_context(folder: Path) -> None:
    """The context is at most what the KV cache can hold, so that every admitted sequence gets its blocks."""
    one_block = 2 * 2 * 2 * 16 * 16 * 2  # keys and values, layers, heads, their width, tokens, bytes of a float16
    options = load_options(kv_precision=KvPrecision.FP16, cache_bytes=3 * one_block)
    assert load_model(str(folder), folder, options).max_model_len == 48


def test_int8_makes_the_cache_hold_more(folder: Path) -> None:
    """As many bytes hold the context of 4 blocks in fp16 and of 6 in int8, which "auto" is; fp32 weights have fp32."""
    held = [
        load_model(
            str(folder), folder, load_options(precision=dtype, kv_precision=kv, cache_bytes=1 << 14)
        ).max_model_len
        for dtype, kv in product((Precision.INT8, Precision.FP32), KvPrecision)
    ]
    assert held == [96, 64, 96, 32, 32, 32]


def test_int4_is_rounded_for_what_the_model_reads(folder: Path, tmp_path: Path) -> None:
    """The first start observes the int8 model, and keeps nothing of it; the next one maps what the first made."""
    first = load_model(str(folder), tmp_path, load_options(precision=Precision.INT4))
    [kept] = (tmp_path / "quantised").iterdir()
    checkpoint = open_checkpoint(folder)
    blind = load_packed(checkpoint, shape_of(folder), INT4, tmp_path / "blind")
    assert not np.array_equal(np.load(kept / "down.npy"), blind["down"])
    assert np.array_equal(np.load(kept / "qkv.npy"), blind["qkv"])
    with capture_logs() as logs:
        second = load_model(str(folder), tmp_path, load_options(precision=Precision.INT4))
    assert not [line for line in logs if "quantis" in line["event"]]
    ids = list(range(20))
    assert np.array_equal(logits(first, ids), logits(second, ids))
