"""What the machine is taken to offer."""

import os
from pathlib import Path

import pytest

from core.inference.hardware import cores, has_fast_bf16


@pytest.mark.parametrize(("limit", "expected"), [("100000 100000", 1), ("150000 100000", 1), ("10000 100000", 1)])
def test_a_containers_share_counts(tmp_path: Path, limit: str, expected: int) -> None:
    """No more threads than the container may use at once, and never none."""
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert cores(tmp_path / "cpu.max") == expected


@pytest.mark.parametrize("limit", ["max 100000", "nonsense", "6400000 100000"])
def test_without_a_share_all_cores_are_ours(tmp_path: Path, limit: str) -> None:
    """No limit, a wide one or none that can be read leaves what the scheduler grants."""
    (tmp_path / "cpu.max").write_text(limit)
    ours = len(os.sched_getaffinity(0))
    assert cores(tmp_path / "cpu.max") == cores(tmp_path / "nowhere") == ours


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu sse4_2 avx avx2", True), ("asimd bf16", True), ("fpu sse4_2 avx", False), ("asimd fphp", False)],
)
def test_bf16_is_kept_where_the_cpus_flags_allow(tmp_path: Path, flags: str, *, expected: bool) -> None:
    """Only a CPU that is known to be good at bfloat16 is given any."""
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert has_fast_bf16(tmp_path / "cpuinfo") is expected
    assert has_fast_bf16(tmp_path / "nowhere") is False
