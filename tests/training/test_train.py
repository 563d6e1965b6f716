"""Training, on a model small enough to take seconds."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2ForCausalLM

from core.inference.lean import LoadOptions
from core.inference.loader import load_model
from core.inference.tokens.template import ChatMessage as Turn
from core.inference.tokens.template import Role
from core.inference.weights.precision import KvPrecision, Precision
from core.mood import mood_prompts
from training.packing import Encoder
from training.tokenizer import CONTROL
from training.train import Recipe, train

TINY = Recipe(
    steps=2,
    warmup=1,
    mood_rows=1,
    chat_rows=1,
    mood_length=640,
    chat_length=128,
    hidden=16,
    feed_forward=16,
    layers=1,
    heads=2,
    kv_heads=1,
)


def test_training_is_reproducible_and_writes_a_whole_model(tmp_path: Path) -> None:
    """Two trainings write the same files; transformers loads them, and their template gives the ids of the encoder."""
    threads = torch.get_num_threads()
    for name in ("first", "second"):
        train(TINY, tmp_path / name)
    torch.set_num_threads(threads)
    folder = tmp_path / "first"
    assert (folder / "SHA256SUMS").read_bytes() == (tmp_path / "second" / "SHA256SUMS").read_bytes()

    model = Qwen2ForCausalLM.from_pretrained(folder)
    assert model.dtype is torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = mood_prompts()["en"].ask("I love it")
    framed = tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in prompt],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert framed == Encoder(tokenizer.backend_tokenizer).prompt(prompt)
    assert tokenizer.convert_tokens_to_ids(CONTROL[-1]) == model.config.eos_token_id
    options = LoadOptions(
        precision=Precision.FP32, kv_precision=KvPrecision.AUTO, max_context=0, cache_bytes=1 << 24, threads=1
    )
    loaded = load_model(str(folder), tmp_path, options)
    assert loaded.template.build([Turn(role=Role(one.role), text=one.content) for one in prompt]) == framed
