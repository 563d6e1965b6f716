"""Worker that writes llama.cpp's logits at every position of a text, computed as its server does by default.

`python -m benchmarks.alternatives.llama_logits FILE.gguf THREADS`, see `benchmarks/worker.py`.
"""

import sys
from pathlib import Path

import llama_cpp
import numpy as np

from benchmarks.alternatives.llama_worker import MAX_BATCH_TOKENS, fill, settings
from benchmarks.worker import Passage, Ready, WriteLogits, Written, serve


def main(path: str, threads: int) -> None:
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    ready = Ready(version=llama_cpp.__version__, weight_bytes=Path(path).stat().st_size)
    serve(ready, Passage, logits_writer(model, threads))


def logits_writer(model: llama_cpp.llama_model_p, threads: int) -> WriteLogits:
    context = llama_cpp.llama_init_from_model(model, settings(threads))
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    buffer = llama_cpp.llama_batch_init(MAX_BATCH_TOKENS, 0, 1)

    def write(passage: Passage) -> Written:
        length = len(passage.ids)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)  # noqa: FBT003  a C function has no keywords
        fill(buffer, [passage.ids], 0)
        for index in range(length):
            buffer.logits[index] = True
        if failed := llama_cpp.llama_decode(context, buffer):
            raise RuntimeError(f"llama_decode returned {failed}")
        np.save(passage.into, np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (length, size)))
        return Written(positions=length)

    return write


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
