"""Benchmark worker of llama.cpp: batched decoding through the low-level functions of llama-cpp-python.

`python -m benchmarks.alternatives.llama_worker FILE.gguf THREADS`, see `benchmarks/worker.py`.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from benchmarks.worker import Batch, Ready, RunBatch, Times, serve

MAX_SEQUENCES, MAX_CONTEXT = 8, 1024
MAX_BATCH_TOKENS = 2048


def main(path: str, threads: int) -> None:
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    system = llama_cpp.llama_print_system_info().decode().strip()
    ready = Ready(version=f"{llama_cpp.__version__} ({system})", weight_bytes=Path(path).stat().st_size)
    serve(ready, Batch, batch_runner(model, threads))


def batch_runner(model: llama_cpp.llama_model_p, threads: int) -> RunBatch:
    """Greedy decoding. The argmax is numpy's; its time is negligible."""
    context = llama_cpp.llama_init_from_model(model, settings(threads))
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    buffer = llama_cpp.llama_batch_init(MAX_BATCH_TOKENS, 0, 1)

    def decode(ids: Sequence[Sequence[int]], position: int) -> list[int]:
        """Computes the next ids of each sequence, which begin at `position`. Returns the next token of each."""
        last = fill(buffer, ids, position)
        if failed := llama_cpp.llama_decode(context, buffer):
            raise RuntimeError(f"llama_decode returned {failed}")
        return [int(logits_at(context, index, size).argmax()) for index in last]

    def run(batch: Batch) -> Times:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)  # noqa: FBT003  a C function has no keywords
        position = len(batch.prompts[0])
        begun = time.perf_counter()
        tokens = decode(batch.prompts, 0)
        prefilled = time.perf_counter()
        for step in range(batch.steps):
            tokens = decode([[token] for token in tokens], position + step)
        return Times(prefill=prefilled - begun, decode=time.perf_counter() - prefilled)

    return run


def logits_at(context: llama_cpp.llama_context_p, index: int, size: int) -> NDArray[np.float32]:
    """Logits of the token at `index` of the last batch, float32 [size]: a view of llama.cpp's memory."""
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, index), (size,))


def settings(threads: int) -> llama_cpp.llama_context_params:
    chosen = llama_cpp.llama_context_default_params()
    chosen.n_ctx = MAX_SEQUENCES * MAX_CONTEXT
    chosen.n_seq_max = MAX_SEQUENCES
    chosen.n_batch = MAX_BATCH_TOKENS
    chosen.n_threads = chosen.n_threads_batch = threads
    chosen.no_perf = True
    return chosen


def fill(batch: llama_cpp.llama_batch, ids: Sequence[Sequence[int]], position: int) -> list[int]:
    """Puts the ids of all sequences into the batch. Returns the index of each last token; only these get logits."""
    batch.n_tokens = 0
    for sequence, own in enumerate(ids):
        for offset, token in enumerate(own):
            index = batch.n_tokens
            batch.token[index], batch.pos[index] = token, position + offset
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
            batch.logits[index] = offset == len(own) - 1
            batch.n_tokens += 1
    return [index for index in range(batch.n_tokens) if batch.logits[index]]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
