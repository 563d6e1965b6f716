"""Benchmark worker of CTranslate2.

`python -m benchmarks.alternatives.ctranslate2_worker FOLDER THREADS`, see `benchmarks/worker.py`.
"""

import json
import sys
import time
from pathlib import Path

import ctranslate2

from benchmarks.worker import Batch, Ready, RunBatch, Times, serve


def main(folder: str, threads: int) -> None:
    generator = ctranslate2.Generator(folder, device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads)
    names = json.loads((Path(folder) / "vocabulary.json").read_text("utf-8"))
    size = (Path(folder) / "model.bin").stat().st_size
    serve(Ready(version=ctranslate2.__version__, weight_bytes=size), Batch, batch_runner(generator, names))


def batch_runner(generator: ctranslate2.Generator, names: list[str]) -> RunBatch:
    """Greedy decoding. CTranslate2 takes tokens as strings and reports each generated token to a callback."""

    def run(batch: Batch) -> Times:
        firsts: list[float] = []

        def note(result: ctranslate2.GenerationStepResult) -> bool:
            if result.step == 0:
                firsts.append(time.perf_counter())
            return False

        prompts = [[names[token] for token in prompt] for prompt in batch.prompts]
        length = batch.steps + 1
        begun = time.perf_counter()
        generator.generate_batch(
            prompts,
            max_length=length,
            min_length=length,
            sampling_topk=1,
            include_prompt_in_result=False,
            callback=note,
        )
        ended = time.perf_counter()
        assert len(firsts) == len(prompts), "one first token per sequence"
        return Times(prefill=firsts[-1] - begun, decode=ended - firsts[-1])

    return run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
