"""Bounds of the model process's memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.inference.memory import OOM_SCORE, be_killed_first, generous_limit

LIMITED = """
import resource
from core.inference.memory import be_killed_first, limit_memory
limit_memory(4 << 30)
limit_memory(8 << 30)
be_killed_first()
print(resource.getrlimit(resource.RLIMIT_AS)[0], open("/proc/self/oom_score_adj").read().strip())
try:
    bytearray(5 << 30)
except MemoryError:
    print("bounded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
def test_a_process_is_bounded_and_killed_first() -> None:
    """The lowest limit of the address space counts, a larger allocation fails, and the kernel's score is high."""
    ended = subprocess.run([sys.executable, "-c", LIMITED], check=True, capture_output=True, text=True)
    assert ended.stdout.split() == [str(4 << 30), str(OOM_SCORE), "bounded"]


@pytest.mark.parametrize(("before", "after"), [("0\n", "500"), ("-100\n", "500"), ("900\n", "900\n"), ("?", "?")])
def test_a_higher_score_is_kept(tmp_path: Path, before: str, after: str) -> None:
    """The score is only ever raised, and a system without one is left alone."""
    file = tmp_path / "oom_score_adj"
    file.write_text(before)
    be_killed_first(file)
    assert file.read_text() == after
    be_killed_first(tmp_path / "none")


def test_the_derived_limit_leaves_room(tmp_path: Path) -> None:
    """The derived limit holds the cache, the libraries and several copies of the files."""
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    (tmp_path / "folder").mkdir()
    assert generous_limit(tmp_path, 100) == generous_limit(tmp_path / "model.safetensors", 100) == (4 << 30) + 6100
