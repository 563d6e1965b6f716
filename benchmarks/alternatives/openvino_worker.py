"""Benchmark worker of OpenVINO GenAI, which reads llama.cpp's files.

`python -m benchmarks.alternatives.openvino_worker FILE.gguf THREADS`, see `benchmarks/worker.py`.
"""

import sys
import time
from pathlib import Path

import numpy as np
import openvino_genai
from openvino import Tensor

from benchmarks.worker import Batch, Ready, RunBatch, Times, serve

MILLISECOND = 0.001


def main(path: str, threads: int) -> None:
    pipeline = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)
    ready = Ready(version=openvino_genai.__version__.partition("-")[0], weight_bytes=Path(path).stat().st_size)
    serve(ready, Batch, batch_runner(pipeline))


def batch_runner(pipeline: openvino_genai.LLMPipeline) -> RunBatch:
    """Greedy decoding. OpenVINO reports the time to the first tokens itself."""

    def run(batch: Batch) -> Times:
        ids = np.array(batch.prompts, np.int64)
        prompts = openvino_genai.TokenizedInputs(Tensor(ids), Tensor(np.ones_like(ids)))
        settings = openvino_genai.GenerationConfig(max_new_tokens=batch.steps + 1, ignore_eos=True, do_sample=False)
        begun = time.perf_counter()
        result = pipeline.generate(prompts, settings)
        seconds = time.perf_counter() - begun
        prefill = MILLISECOND * result.perf_metrics.get_ttft().mean
        return Times(prefill=prefill, decode=seconds - prefill)

    return run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
