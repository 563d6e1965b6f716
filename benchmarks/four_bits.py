"""What int4 weights would cost: `python -m benchmarks.four_bits` prints a row as `benchmarks.quality` does for int8.

Parley has no int4. The weights are rounded to what it would hold, in groups of 32 with a scale of their own as in
llama.cpp's Q4_0, embeddings left as they are, and run in fp32.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.parley_rows import open_model
from benchmarks.quality import compared, prompts
from benchmarks.sides import ROOT
from core.models import EMBEDDED, WEIGHTS, find_model

GROUP = 32
LOWEST, HIGHEST = -8, 7
THREADS = 2


def main() -> None:
    with TemporaryDirectory() as folder:
        write_rounded(find_model(EMBEDDED, ROOT), Path(folder))
        exact, rounded = (open_model(name, "fp32", THREADS) for name in (EMBEDDED, folder))
        print(compared(exact, rounded, list(prompts(exact, EMBEDDED)), "int4"))


def write_rounded(model: Path, folder: Path) -> None:
    """A model's files with its matrices rounded, but for the embeddings."""
    for path in model.glob("*.json"):
        shutil.copy(path, folder)
    weights = load_file(model / WEIGHTS)
    matrices = {name for name, weight in weights.items() if weight.ndim > 1 and "embed" not in name}
    rounded = {name: round_off(weight) if name in matrices else weight for name, weight in weights.items()}
    save_file(rounded, folder / WEIGHTS, metadata={"format": "pt"})


def round_off(weight: Tensor) -> Tensor:
    """A matrix [rows, columns] in four bits a weight: the largest of each group, whatever its sign, is held exactly."""
    groups = weight.float().unflatten(1, (-1, GROUP))
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    scale = torch.where(largest == 0, 1.0, largest / LOWEST)
    return ((groups / scale).round().clamp(LOWEST, HIGHEST) * scale).flatten(1)


if __name__ == "__main__":
    main()
