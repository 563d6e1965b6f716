"""Quality of int4 weights: `python -m benchmarks.four_bits` prints a row of the table of `benchmarks.quality`.

Parley has no int4 kernels. The benchmark rounds the weights to int4 values with one scale per group of 32, as Q4_0 of
llama.cpp does, and runs them in fp32. The embeddings are not rounded.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.parley_worker import open_model
from benchmarks.processes import ROOT
from benchmarks.quality import comparison_row, encoded_prompts
from core.models import EMBEDDED, WEIGHTS, find_model

GROUP = 32
LOWEST, HIGHEST = -8, 7
THREADS = 2


def main() -> None:
    with TemporaryDirectory() as folder:
        write_rounded(find_model(EMBEDDED, ROOT), Path(folder))
        exact, rounded = (open_model(name, "fp32", THREADS) for name in (EMBEDDED, folder))
        print(comparison_row(exact, rounded, list(encoded_prompts(exact, EMBEDDED)), "int4"))


def write_rounded(model: Path, folder: Path) -> None:
    """Copies a model with its matrices rounded, except for the embeddings."""
    for path in model.glob("*.json"):
        shutil.copy(path, folder)
    weights = load_file(model / WEIGHTS)
    matrices = {name for name, weight in weights.items() if weight.ndim > 1 and "embed" not in name}
    rounded = {name: round_off(weight) if name in matrices else weight for name, weight in weights.items()}
    save_file(rounded, folder / WEIGHTS, metadata={"format": "pt"})


def round_off(weight: Tensor) -> Tensor:
    """A matrix [rows, columns] rounded to int4 values, as float32. The largest weight of each group stays exact."""
    groups = weight.float().reshape(len(weight), -1, GROUP)
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    scale = torch.where(largest == 0, 1.0, largest / LOWEST)
    return ((groups / scale).round().clamp(LOWEST, HIGHEST) * scale).flatten(1)


if __name__ == "__main__":
    main()
