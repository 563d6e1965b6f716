"""Detection of cores, memory and CPU features."""

import os
from pathlib import Path

import pytest

from core.inference.hardware import cores, has_fast_bf16, memory_bytes


@pytest.mark.parametrize(("limit", "expected"), [("100000 100000", 1), ("150000 100000", 1), ("10000 100000", 1)])
def test_a_containers_quota_limits_the_cores(tmp_path: Path, limit: str, expected: int) -> None:
    """The count of cores is at most the container's CPU quota, and at least 1."""
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert cores(tmp_path / "cpu.max") == expected


@pytest.mark.parametrize("limit", ["max 100000", "nonsense", "6400000 100000"])
def test_without_a_quota_all_cores_are_used(tmp_path: Path, limit: str) -> None:
    """With no quota, a large one or an unreadable one, the count is that of the CPU affinity."""
    (tmp_path / "cpu.max").write_text(limit)
    ours = len(os.sched_getaffinity(0))
    assert cores(tmp_path / "cpu.max") == cores(tmp_path / "nowhere") == ours


def test_a_container_limits_the_memory(tmp_path: Path) -> None:
    """Memory is at most the container's limit; without one, or with an unreadable one, it is the machine's."""
    limit = tmp_path / "memory.max"
    limit.write_text("123456789\n")
    assert memory_bytes(limit) == 123456789
    limit.write_text("max\n")
    assert memory_bytes(limit) == memory_bytes(tmp_path / "nowhere") > 1 << 28


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu sse4_2 avx avx2", True), ("asimd bf16", True), ("fpu sse4_2 avx", False), ("asimd fphp", False)],
)
def test_fast_bf16_is_detected_from_the_cpu_flags(tmp_path: Path, flags: str, *, expected: bool) -> None:
    """bfloat16 counts as fast only with AVX2 or BF16 instructions; an unreadable file has neither."""
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert has_fast_bf16(tmp_path / "cpuinfo") is expected
    assert has_fast_bf16(tmp_path / "nowhere") is False
