"""llama.cpp's rows: its batched decoding through the low-level functions of llama-cpp-python.

`python -m benchmarks.alternatives.llama_rows FILE.gguf THREADS`, see `benchmarks/rows.py`.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np

from benchmarks.rows import Contender, Ready, Times, Work, serve

MAX_ROWS, MAX_CONTEXT = 8, 1024
MAX_BATCH = 2048


def main(path: str, threads: int) -> None:
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    system = llama_cpp.llama_print_system_info().decode().strip()
    ready = Ready(version=f"{llama_cpp.__version__} ({system})", weight_bytes=Path(path).stat().st_size)
    serve(ready, contender(model, threads))


def contender(model: llama_cpp.llama_model_p, threads: int) -> Contender:
    """The likeliest token follows, found with numpy, which costs next to nothing."""
    context = llama_cpp.llama_init_from_model(model, settings(threads))
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    batch = llama_cpp.llama_batch_init(MAX_BATCH, 0, 1)

    def decode(ids: Sequence[Sequence[int]], place: int) -> list[int]:
        """Runs the next ids of each row, which stand from `place` on, and gives each row's next token."""
        last = fill(batch, ids, place)
        if failed := llama_cpp.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode returned {failed}")
        return [int(logits_at(context, index, size).argmax()) for index in last]

    def run(work: Work) -> Times:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)  # noqa: FBT003  as C has it
        place = len(work.prompts[0])
        begun = time.perf_counter()
        tokens = decode(work.prompts, 0)
        read = time.perf_counter()
        for step in range(work.steps):
            tokens = decode([[token] for token in tokens], place + step)
        return Times(reading=read - begun, writing=time.perf_counter() - read)

    return run


def logits_at(context: llama_cpp.llama_context_p, index: int, size: int) -> np.ndarray:
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, index), (size,))


def settings(threads: int) -> llama_cpp.llama_context_params:
    chosen = llama_cpp.llama_context_default_params()
    chosen.n_ctx = MAX_ROWS * MAX_CONTEXT
    chosen.n_seq_max = MAX_ROWS
    chosen.n_batch = MAX_BATCH
    chosen.n_threads = chosen.n_threads_batch = threads
    chosen.no_perf = True
    return chosen


def fill(batch: llama_cpp.llama_batch, ids: Sequence[Sequence[int]], place: int) -> list[int]:
    """Puts the ids of all rows into the batch. Returns where each row's last one stands: its logits are asked for."""
    batch.n_tokens = 0
    for row, own in enumerate(ids):
        for offset, token in enumerate(own):
            index = batch.n_tokens
            batch.token[index], batch.pos[index] = token, place + offset
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, row
            batch.logits[index] = offset == len(own) - 1
            batch.n_tokens += 1
    return [index for index in range(batch.n_tokens) if batch.logits[index]]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
