"""Benchmark worker of ONNX Runtime GenAI.

`python -m benchmarks.alternatives.onnxruntime_worker FOLDER THREADS`, see `benchmarks/worker.py`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime_genai

from benchmarks.worker import Batch, Ready, RunBatch, Times, serve


def main(folder: str, threads: int) -> None:
    config = onnxruntime_genai.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    size = (Path(folder) / "model.onnx.data").stat().st_size
    ready = Ready(version=onnxruntime_genai.__version__, weight_bytes=size)
    serve(ready, Batch, batch_runner(onnxruntime_genai.Model(config)))


def batch_runner(model: onnxruntime_genai.Model) -> RunBatch:
    """Greedy decoding."""

    def run(batch: Batch) -> Times:
        ids = np.array(batch.prompts, np.int32)
        length = ids.shape[1] + batch.steps + 1
        settings = onnxruntime_genai.GeneratorParams(model)
        settings.set_search_options(do_sample=False, batch_size=len(ids), min_length=length, max_length=length)
        generator = onnxruntime_genai.Generator(model, settings)
        begun = time.perf_counter()
        generator.append_tokens(ids)
        generator.generate_next_token()
        prefilled = time.perf_counter()
        for _ in range(batch.steps):
            generator.generate_next_token()
        return Times(prefill=prefilled - begun, decode=time.perf_counter() - prefilled)

    return run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
