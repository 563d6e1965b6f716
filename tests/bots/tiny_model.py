"""The smallest folder that passes as a model as long as it is not loaded."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

TINY_FILES: Mapping[str, bytes] = {
    "config.json": b'{"model_type": "qwen2"}',
    "tokenizer.json": b"{}",
    "model.safetensors": save({"weight": np.ones(8, dtype=np.float32)}),
}


def write_tiny_model(folder: Path) -> Path:
    folder.mkdir()
    for name, content in TINY_FILES.items():
        (folder / name).write_bytes(content)
    return folder
