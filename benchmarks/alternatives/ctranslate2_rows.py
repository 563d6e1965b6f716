"""CTranslate2's rows: `python -m benchmarks.alternatives.ctranslate2_rows FOLDER THREADS`, see `benchmarks/rows.py`."""

import json
import sys
import time
from pathlib import Path

import ctranslate2

from benchmarks.rows import Contender, Ready, Times, Work, serve


def main(folder: str, threads: int) -> None:
    generator = ctranslate2.Generator(folder, device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads)
    names = json.loads((Path(folder) / "vocabulary.json").read_text("utf-8"))
    size = (Path(folder) / "model.bin").stat().st_size
    serve(Ready(version=ctranslate2.__version__, weight_bytes=size), contender(generator, names))


def contender(generator: ctranslate2.Generator, names: list[str]) -> Contender:
    """Greedy. It takes tokens by their names, and says when it has made one through a callback."""

    def run(work: Work) -> Times:
        firsts: list[float] = []

        def note(result: ctranslate2.GenerationStepResult) -> bool:
            if result.step == 0:
                firsts.append(time.perf_counter())
            return False

        prompts = [[names[token] for token in prompt] for prompt in work.prompts]
        length = work.steps + 1
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
        assert len(firsts) == len(prompts), "each row has one first token"
        return Times(reading=firsts[-1] - begun, writing=ended - firsts[-1])

    return run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
