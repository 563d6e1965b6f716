"""Checks the converted models: `python -m benchmarks.alternatives.agreement FOLDER INTO`.

Fails if the logits of llama.cpp in fp32 differ from those of transformers. Shows the errors of quantised models too.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import ctranslate2
import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from benchmarks.alternatives.convert import EXACT, KINDS, convert
from benchmarks.alternatives.llama_worker import fill, logits_at, settings
from benchmarks.questions import WORDS

Logits: TypeAlias = NDArray[np.float32]
TOLERANCE = 1e-4
"""Largest error in proportion to the largest logit: the order of summation differs between the two."""


def main(folder: Path, into: Path) -> None:
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(" " + " ".join(WORDS)).ids
    expected = transformers_logits(folder, ids)
    errors = {}
    for name, actual in others(folder, into, ids):
        errors[name] = np.abs(actual - expected).max() / np.abs(expected).max()
        top = "same" if actual.argmax() == expected.argmax() else "different"
        print(f"{name}: largest error {errors[name]:.1e} of the largest logit, {top} top token")
    sys.exit(bool(errors[EXACT] > TOLERANCE))


def others(folder: Path, into: Path, ids: Sequence[int]) -> Iterator[tuple[str, Logits]]:
    """Name and logits of each converted model."""
    for name in (EXACT, *KINDS):
        yield name, llama_logits(convert(folder, into, name), ids)
    yield "ctranslate2", ctranslate2_logits(convert(folder, into, "ctranslate2"), ids)


@torch.inference_mode()
def transformers_logits(folder: Path, ids: Sequence[int]) -> Logits:
    """Logits of the token after the last id, float32 [vocabulary]."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    logits: Logits = model(torch.tensor([list(ids)])).logits[0, -1].numpy()
    return logits


def llama_logits(path: Path, ids: Sequence[int]) -> Logits:
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    chosen = settings(threads=2)
    chosen.type_k = chosen.type_v = llama_cpp.GGML_TYPE_F32
    chosen.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED  # flash attention computes in half precision
    context = llama_cpp.llama_init_from_model(model, chosen)
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    [last] = fill(batch, [ids], 0)
    assert llama_cpp.llama_decode(context, batch) == 0, "the context has room for the batch"
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    return logits_at(context, last, size).copy()


def ctranslate2_logits(folder: Path, ids: Sequence[int]) -> Logits:
    names = json.loads((folder / "vocabulary.json").read_text("utf-8"))
    generator = ctranslate2.Generator(str(folder), compute_type="int8", intra_threads=2)
    logits: Logits = np.array(generator.forward_batch([[names[token] for token in ids]]))[0, -1]
    return logits


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
