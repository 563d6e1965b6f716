"""The lean decoder against transformers in float32, and against itself in other batches."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, Qwen2ForCausalLM

from core.inference.batching.prompts import prompts_step
from core.inference.batching.sequence import Sampling, Sequence
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.loader import LoadedModel, load_model
from core.inference.native.build import LEVELS
from core.inference.networks.decoder import SPECULATIVE_STEPS, Decoder
from core.inference.networks.generic import open_generic
from core.inference.tokens.template import ChatMessage, Role
from core.inference.weights.precision import KvPrecision, Precision
from core.models import EMBEDDED, find_model
from tests.core.inference.options import batch_limits, load_options
from tests.core.inference.rows import Rig, logits, sequence
from tests.core.inference.tiny import write_tiny_model
from training.blind import BLIND, read_labelled

TEXT = "hello hello world, and the dog sat on a very long mat indeed 你好，今天天气很好。今天你好吗？ the cat sat"

ROPE_OF_LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MULTIPLIERS = {
    "embedding_multiplier": 12.0,
    "attention_multiplier": 0.1,
    "residual_multiplier": 0.3,
    "logits_scaling": 4.0,
}
DENSE_GRANITE_4 = {
    "layer_types": ["full_attention", "full_attention"],
    "num_local_experts": 0,
    "shared_intermediate_size": 96,
    "tie_word_embeddings": True,
    "position_embedding_type": "rope",
    "mamba_n_heads": 8,
}


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(EMBEDDED, tmp_path_factory.mktemp("data"), load_options(precision=Precision.FP32))


@pytest.fixture(scope="module")
def mini_int8(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(EMBEDDED, tmp_path_factory.mktemp("data"), load_options(precision=Precision.INT8))


def test_the_embedded_models_logits_are_those_of_transformers(mini: LoadedModel, tmp_path: Path) -> None:
    """In float32 the logits of a prompt of several blocks differ by less than 1e-4 of their norm."""
    folder = find_model(EMBEDDED, tmp_path)
    ids = mini.vocabulary.encode(TEXT * 3)
    generic = replace(mini, network=open_generic(open_checkpoint(folder), Precision.FP32, threads=1))
    expected = logits(generic, ids)
    assert np.linalg.norm(logits(mini, ids) - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("qwen2", {}),
        ("qwen2", {"tie_word_embeddings": False, "num_key_value_heads": 4}),
        ("qwen3", {"head_dim": 32}),
        ("llama", {"head_dim": 16, "num_key_value_heads": 1}),
        ("llama", {"rope_parameters": ROPE_OF_LLAMA_3}),
        ("smollm3", {}),
        ("smollm3", {"no_rope_layers": [0, 1], "tie_word_embeddings": False}),
        ("granite", MULTIPLIERS),
        ("granite", MULTIPLIERS | {"tie_word_embeddings": True, "attention_bias": True}),
        ("granitemoehybrid", MULTIPLIERS | DENSE_GRANITE_4),
        ("granitemoehybrid", MULTIPLIERS | DENSE_GRANITE_4 | {"position_embedding_type": None}),
    ],
)
def test_the_logits_of_the_whole_family_are_those_of_transformers(
    tmp_path: Path, kind: str, changes: dict[str, object]
) -> None:
    """Biases, query and key norms, untied heads, wide heads, scaled and missing rotary embeddings, and constant factors
    give the logits of transformers.
    """
    folder = write_tiny_model(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    kept = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    sizes = {name: config[name] for name in (*kept, "num_key_value_heads", "max_position_embeddings", "eos_token_id")}
    torch.manual_seed(1)
    settings = AutoConfig.for_model(kind, **sizes | {"initializer_range": 0.3, "pad_token_id": None} | changes)
    AutoModelForCausalLM.from_config(settings, dtype=torch.float32).save_pretrained(folder)
    _randomise_vectors(folder)
    lean = load_model(str(folder), tmp_path, load_options(precision=Precision.FP32))
    generic = replace(lean, network=open_generic(open_checkpoint(folder), Precision.FP32, threads=1))
    assert isinstance(lean.network, Decoder)
    ids = list(range(100))
    np.testing.assert_allclose(logits(lean, ids), logits(generic, ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["qkv", "out", "gate_up", "down"])
def test_the_inputs_of_matrices_are_those_of_transformers(
    tmp_path: Path, oracle: Qwen2ForCausalLM, tiny_folder: Path, name: str
) -> None:
    """Those of every token of several prompts, in each layer; later steps are not observed."""
    lean = load_model(str(tiny_folder), tmp_path, load_options(precision=Precision.FP32)).network
    assert isinstance(lean, Decoder)
    prompts = [list(range(5)), list(range(7, 40))]
    found = lean.observe([name], prompts_step(prompts))[name]
    kept = found.copy()
    lean.run(prompts_step([list(range(50, 80))]))
    assert np.array_equal(found, kept)
    first = {"qkv": "self_attn.q_proj", "out": "self_attn.o_proj", "gate_up": "mlp.gate_proj", "down": "mlp.down_proj"}
    for layer, inputs in enumerate(found):
        expected: list[torch.Tensor] = []
        module = oracle.get_submodule(f"model.layers.{layer}.{first[name]}")
        hook = module.register_forward_pre_hook(lambda _module, given, to=expected: to.append(given[0][0]))
        with torch.inference_mode():
            for prompt in prompts:
                oracle(torch.tensor([prompt]))
        hook.remove()
        np.testing.assert_allclose(inputs, torch.cat(expected).numpy(), rtol=1e-3, atol=1e-4)


def _randomise_vectors(folder: Path) -> None:
    """Randomise norms and biases: all ones or zeros would hide an error."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    for name, tensor in weights.items():
        if tensor.ndim == 1:
            weights[name] = tensor + torch.randn_like(tensor) * 0.2
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.INT8, Precision.INT4])
@pytest.mark.parametrize("prefill_tokens", [1, 7, 128])
def test_alone_batched_and_joined_late_are_the_same(tmp_path: Path, precision: Precision, prefill_tokens: int) -> None:
    """A reply is the same alone, in a batch, joining a batch late, with rows that leave, and with chunked prefill."""
    model = load_model(str(write_tiny_model(tmp_path)), tmp_path, load_options(precision=precision))
    prompts = [model.vocabulary.encode(TEXT[start : start + 10 * start]) for start in (3, 5, 9)]
    alone = [sequence(prompt) for prompt in prompts]
    for each in alone:
        Rig(model).run(each)
    together = [sequence(prompt) for prompt in prompts]
    Rig(model, batch_limits(prefill_tokens=prefill_tokens)).run(*together)
    late = [sequence(prompt) for prompt in prompts]
    rig, leaves = Rig(model), sequence(prompts[0])

    def join(first: Sequence) -> None:
        if first.completion_tokens == 5:
            rig.submit(late[1])
            rig.submit(leaves, rig.loop.remove)
        if first.completion_tokens == 9:
            rig.submit(late[2])

    rig.run(late[0], on_output=join)
    assert [each.ids for each in together] == [each.ids for each in alone]
    assert [each.ids for each in late] == [each.ids for each in alone]
    assert len(leaves.ids) < len(alone[0].ids)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.INT8, Precision.INT4])
@pytest.mark.parametrize("kv_precision", [KvPrecision.FP16, KvPrecision.INT8])
def test_logits_are_the_same_to_the_last_bit(tmp_path: Path, precision: Precision, kv_precision: KvPrecision) -> None:
    """Every prefill chunk size gives bit-identical logits: tiles and query groups of all sizes compute the same."""
    folder = write_tiny_model(tmp_path, max_length=512)
    model = load_model(str(folder), tmp_path, load_options(precision=precision, kv_precision=kv_precision))
    ids = [number % 100 for number in range(300)]
    at_once = logits(model, ids)
    for size in (1, 2, 3, 5, 8, 13):
        assert np.array_equal(logits(model, ids, size), at_once)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8, Precision.INT4])
def test_a_reused_prefix_changes_no_reply(tmp_path: Path, precision: Precision) -> None:
    """A conversation of six turns gets the same replies with the prefix cache and without it."""
    folder = str(write_tiny_model(tmp_path, max_length=512))
    model, other = (load_model(folder, tmp_path, load_options(precision=precision)) for _ in range(2))
    reusing, anew = Rig(model), Rig(other, reuse=False)
    said = model.vocabulary.encode(TEXT)
    for turn in range(6):
        said += model.vocabulary.encode(f"turn {turn} of six")
        first, second = sequence(said, user="ann", max_tokens=11), sequence(said, user="ann", max_tokens=11)
        reusing.run(first)
        anew.run(second)
        assert first.ids == second.ids
        assert second.cached == 0
        assert (first.cached > 0) == (turn > 0)
        said = first.ids


@pytest.mark.parametrize("many", [20, pytest.param(200, marks=pytest.mark.long)])
def test_replies_in_any_batch_are_those_of_transformers(mini: LoadedModel, tmp_path: Path, many: int) -> None:
    """Held-out sentences in float32 get transformers' replies: in full batches, from the prefix cache, and beside
    sequences that are aborted.
    """
    folder = find_model(EMBEDDED, tmp_path)
    generic = replace(mini, network=open_generic(open_checkpoint(folder), Precision.FP32, threads=1))
    prompts = [mini.template.build([ChatMessage(role=Role.USER, text=text)]) for text in blind_texts(many)]

    def replies(rig: Rig, user: str = "") -> list[list[int]]:
        sequences = [sequence(prompt, max_tokens=16, user=user) for prompt in prompts]
        rig.run(*sequences)
        return [each.ids for each in sequences]

    limits = batch_limits(max_queue=2 * many)
    expected = replies(Rig(generic, limits))
    rig = Rig(mini, limits)
    assert replies(rig, user="ann") == expected
    assert replies(rig, user="ann") == expected
    disturbed = Rig(mini, limits)
    for prompt in prompts[::2]:
        disturbed.submit(sequence(prompt), disturbed.loop.remove)
    assert replies(disturbed) == expected


def blind_texts(many: int) -> list[str]:
    found = read_labelled(BLIND / "mood.tsv")
    return [found[number * len(found) // many].text for number in range(many)]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.7, top_k=5, repetition_penalty=1.1)])
def test_speculation_changes_no_reply(tmp_path: Path, sampling: Sampling) -> None:
    """A greedy or seeded reply is the same with speculative tokens, some of which are accepted."""
    folder = write_tiny_model(tmp_path)
    _make_it_repeat(folder)
    model = load_model(str(folder), tmp_path, load_options(precision=Precision.FP32))
    prompts = [model.vocabulary.encode(TEXT * 2), model.vocabulary.encode("hello hello world " * 5)]
    plain, speculating = Rig(model, batch_limits()), Rig(model, batch_limits(max_speculative_step=8))
    expected, found = ([sequence(prompt, sampling, max_tokens=100) for prompt in prompts] for _ in range(2))
    plain.run(*expected)
    speculating.run(*found)
    assert [each.ids for each in found] == [each.ids for each in expected]
    text = speculating.loop.metrics.text().decode()
    assert 'parley_tokens_total{kind="guessed"} 0.0' not in text
    assert 'parley_tokens_total{kind="guessed"} 0.0' in plain.loop.metrics.text().decode()


def _make_it_repeat(folder: Path) -> None:
    """Scale the layers down, so that the likeliest token is the previous one."""
    path = folder / "model.safetensors"
    weak = {
        name: tensor * (0.02 if "o_proj" in name or "down_proj" in name else 1)
        for name, tensor in load_file(path).items()
    }
    save_file(weak, path, metadata={"format": "pt"})


def test_tied_embeddings_count_once(tiny: LoadedModel) -> None:
    """In the bytes of weights that a token reads."""
    size = tiny.network.vocabulary_size * 64 * 4
    assert size < tiny.network.weight_bytes < 2 * size + 2 * 4 * 64 * 700


def test_an_embedding_that_is_no_head_is_not_read(tmp_path: Path) -> None:
    """If the head has weights of its own, a token does not read those of the embedding."""
    folder = write_tiny_model(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    head = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors | {"lm_head.weight": head}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    network = load_model(str(folder), folder, load_options(precision=Precision.INT8)).network
    [kept] = (folder / "quantised").iterdir()
    sizes = {path.stem: np.load(path).nbytes for path in kept.glob("*.npy")}
    assert network.weight_bytes == sum(sizes.values()) - sizes["embedding"]


def test_greedy_replies_of_the_embedded_model_survive_int8(mini: LoadedModel, mini_int8: LoadedModel) -> None:
    """In int8 the model writes the same greedy reply to all questions but at most one."""
    starts, topics = ("What is", "Do you know", "你知道"), ("your name", "the price", "时间", "退货")
    questions = [f"{start} {topic}?" for start, topic in product(starts, topics)]
    kept = 0
    for question in questions:
        ids = mini.template.build([ChatMessage(role=Role.USER, text=question)])
        exact, rounded = sequence(ids, max_tokens=24), sequence(ids, max_tokens=24)
        Rig(mini).run(exact)
        Rig(mini_int8).run(rounded)
        kept += exact.ids == rounded.ids
    assert kept >= len(questions) - 1


def test_every_processor_with_drafts_is_one_that_there_are_kernels_for() -> None:
    """The levels for which a larger step is almost free are levels of the kernels."""
    assert set(SPECULATIVE_STEPS) <= {level.name for machine in LEVELS.values() for level in machine}
