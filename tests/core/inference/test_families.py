"""A tiny random model of each family, with its template and tokenizer: it loads, and reads as transformers does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from core.inference.batching.sequence import Sampling
from core.inference.defaults import published_defaults
from core.inference.loader import load_model
from core.inference.tokens.template import ChatMessage, Role
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options
from tests.core.inference.rows import Rig, logits, sequence
from tests.core.inference.tokens.families import FAMILIES, tokenizer

SIZES: dict[str, object] = {
    "vocab_size": 400,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
SLIDING = ["sliding_attention"] * 3 + ["full_attention"]
LINEAR = ["linear_attention"] * 3 + ["full_attention"]
QWEN35 = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
DENSE = {"layer_types": ["full_attention"] * 4, "num_local_experts": 0, "position_embedding_type": "rope"}
LEAN: dict[str, tuple[str, dict[str, object]]] = {
    "smollm2": ("llama", {}),
    "qwen2.5": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
    "smollm3": ("smollm3", {}),
    "llama3": ("llama", {}),
    "granite4": ("granitemoehybrid", {"mamba_n_heads": 8, "shared_intermediate_size": 128, **DENSE}),
}
GENERIC: dict[str, tuple[str, dict[str, object]]] = {
    "qwen3.5": ("qwen3_5_text", {"layer_types": LINEAR, **QWEN35}),
    "gemma3": ("gemma3_text", {"layer_types": SLIDING, "sliding_window": 8}),
    "granite4 hybrid": (
        "granitemoehybrid",
        {"layer_types": LINEAR, "num_local_experts": 0, "mamba_n_heads": 8, "mamba_d_state": 16},
    ),
    "lfm2.5": ("lfm2", {"layer_types": ["conv", "conv", "conv", "full_attention"], "block_multiple_of": 32}),
}


def write_tokens(folder: Path, family: str) -> None:
    tokenizer(family).save(str(folder / "tokenizer.json"))
    settings = {"bos_token": FAMILIES[family].bos, "chat_template": FAMILIES[family].template}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "generation_config.json").unlink(missing_ok=True)


@pytest.mark.parametrize("name", [*LEAN, *GENERIC])
def test_every_family_loads_and_replies(tmp_path: Path, name: str) -> None:
    """Without a `generation_config.json` and EOS ids, a model has its family's defaults and ends replies with the end
    of a message. Its logits are those of transformers, and it runs on the network that is meant for it.
    """
    family = name.partition(" ")[0]
    kind, changes = (LEAN | GENERIC)[name]
    torch.manual_seed(2)
    oracle = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES | changes), dtype=torch.float32).eval()
    oracle.save_pretrained(tmp_path)
    write_tokens(tmp_path, family)
    model = load_model(str(tmp_path), tmp_path, load_options(precision=Precision.FP32))
    assert (model.network.path == "transformers") == (name in GENERIC)
    assert {model.vocabulary.control[token] for token in model.eos_ids} == {FAMILIES[family].end}
    defaults = published_defaults({"model_type": kind, **SIZES})
    assert model.sampling.temperature == defaults.get("temperature", 0)
    prompt = model.template.build(
        [ChatMessage(role=Role.SYSTEM, text="the cat"), ChatMessage(role=Role.USER, text="sat")]
    )
    with torch.inference_mode():
        expected = oracle(torch.tensor([prompt])).logits[0, -1].numpy()
    np.testing.assert_allclose(logits(model, prompt), expected, rtol=1e-3, atol=1e-3)
    reply = sequence(prompt, Sampling(temperature=3.0), max_tokens=30)
    Rig(model).run(reply)
    written = reply.ids[len(prompt) :]
    assert written
    assert not {*written[:-1]} & model.vocabulary.control.keys()


def test_the_text_part_of_a_model_that_sees_is_loaded(tmp_path: Path) -> None:
    """Qwen3.5 is published with its vision encoder: the language model is found in it and read alone."""
    text = SIZES | {"layer_types": LINEAR, **QWEN35}
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 64}
    torch.manual_seed(2)
    settings = AutoConfig.for_model("qwen3_5", text_config=text, vision_config=vision)
    oracle = AutoModelForImageTextToText.from_config(settings, dtype=torch.float32).eval()
    oracle.save_pretrained(tmp_path)
    write_tokens(tmp_path, "qwen3.5")
    model = load_model(str(tmp_path), tmp_path, load_options(precision=Precision.FP32))
    prompt = model.template.build([ChatMessage(role=Role.USER, text="sat")])
    with torch.inference_mode():
        expected = oracle(torch.tensor([prompt])).logits[0, -1].numpy()
    np.testing.assert_allclose(logits(model, prompt), expected, rtol=1e-3, atol=1e-3)
    assert model.sampling.top_k == 20
