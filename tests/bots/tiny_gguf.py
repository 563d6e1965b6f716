"""The smallest GGUF file that passes as a model as long as it is not loaded."""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter


def tiny_gguf(folder: Path, value: float = 1.0) -> bytes:
    """The content of a file with one tensor, whose elements are `value`. It is written in the folder."""
    path = folder / "written.gguf"
    writer = GGUFWriter(path, "qwen2")
    writer.add_tensor("token_embd.weight", np.full((2, 32), value, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()
