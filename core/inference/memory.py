"""The process's place if memory runs out: it ends before others do, and what it may take is bounded. Linux only."""

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

OOM_SCORE: Final = 500
"""Added to the kernel's score of the process, 0 to 1000: it is killed before a gateway, whose score is near 0."""
OOM_FILE: Final = Path("/proc/self/oom_score_adj")
LIBRARIES: Final = 4 << 30
"""Address space of the interpreter, its libraries (torch alone maps 2 GB) and the threads' stacks."""
COPIES: Final = 6
"""Times a model's files may be mapped: read, quantised and stored. Loading Qwen2.5-0.5B peaks at twice its files;
transformers holds float32 weights of a bfloat16 file, and for a moment both.
"""


def be_killed_first(file: Path = OOM_FILE) -> None:
    """Raise the process's score for the kernel's out-of-memory killer; a higher one is left as it is."""
    with suppress(OSError, ValueError):
        if int(file.read_text("ascii")) < OOM_SCORE:
            file.write_text(str(OOM_SCORE), "ascii")


def limit_memory(max_bytes: int) -> None:
    """Bound the address space, so that a runaway allocation raises MemoryError. A lower limit is left as it is."""
    if sys.platform != "linux":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft > max_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, hard))


def generous_limit(model: Path, cache_bytes: int) -> int:
    """An address space that loading and running this model never fills."""
    files = [model] if model.is_file() else [path for path in model.iterdir() if path.is_file()]
    return LIBRARIES + cache_bytes + COPIES * sum(path.stat().st_size for path in files)
