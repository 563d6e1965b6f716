"""Whether the conversions are right: `python -m benchmarks.alternatives.agreement FOLDER INTO`, after `convert`.

The logits of llama.cpp in fp32 must be those of transformers; the quantised ones are shown beside them.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import ctranslate2
import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from benchmarks.alternatives.llama_rows import fill, logits_at, settings
from benchmarks.questions import WORDS

Logits = NDArray[np.float32]
EXACT = "llama.cpp f32"
TOLERANCE = 1e-4
"""Of the largest logit: both add up thousands of products, each in its own order."""


def main(folder: Path, into: Path) -> None:
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(" " + " ".join(WORDS)).ids
    wanted = transformers_logits(folder, ids)
    errors = {}
    for name, got in others(into, ids):
        errors[name] = np.abs(got - wanted).max() / np.abs(wanted).max()
        likeliest = "the same" if got.argmax() == wanted.argmax() else "another"
        print(f"{name}: {errors[name]:.1e} of the largest, {likeliest} likeliest token")
    sys.exit(bool(errors[EXACT] > TOLERANCE))


def others(into: Path, ids: Sequence[int]) -> Iterator[tuple[str, Logits]]:
    for name in ("f32", "q8_0", "q4_0"):
        yield f"llama.cpp {name}", llama_logits(into / f"{name}.gguf", ids)
    yield "CTranslate2 int8", ctranslate2_logits(into / "ctranslate2", ids)


@torch.inference_mode()
def transformers_logits(folder: Path, ids: Sequence[int]) -> Logits:
    """float32 [vocabulary]: what follows the last id, as from the others."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model(torch.tensor([list(ids)])).logits[0, -1].numpy()


def llama_logits(path: Path, ids: Sequence[int]) -> Logits:
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    chosen = settings(threads=2)
    chosen.type_k = chosen.type_v = llama_cpp.GGML_TYPE_F32
    chosen.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED  # it would compute in half precision
    context = llama_cpp.llama_init_from_model(model, chosen)
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    [last] = fill(batch, [ids], 0)
    assert llama_cpp.llama_decode(context, batch) == 0, "there is room for the batch"
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    return logits_at(context, last, size).copy()


def ctranslate2_logits(folder: Path, ids: Sequence[int]) -> Logits:
    names = json.loads((folder / "vocabulary.json").read_text("utf-8"))
    generator = ctranslate2.Generator(str(folder), compute_type="int8", intra_threads=2)
    return np.array(generator.forward_batch([[names[token] for token in ids]]))[0, -1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
