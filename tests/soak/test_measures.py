"""A leak is told from a process that is steady."""

import os
import sys

import pytest

from tests.soak.measures import MIB, Growth, Sample

HALF_AN_HOUR = range(0, 1800, 5)


def growth(*, leak: float = 0.0, files: int = 0, threads: int = 0) -> Growth:
    """Of samples that jitter by a quarter MiB, with a leak of `leak` MiB an hour and more files and threads later."""
    return Growth.of(
        [
            Sample(
                at=at,
                memory=round((100 + at % 25 / 100 + leak * at / 3600) * MIB),
                files=20 + at % 2 + files * at // 1800,
                threads=3 + threads * at // 1800,
            )
            for at in HALF_AN_HOUR
        ]
    )


def test_a_steady_process_is_flat() -> None:
    """Memory and files that only vary do not grow."""
    assert growth().is_flat


def test_each_leak_is_seen() -> None:
    """2 MiB an hour, a few open files or threads more are growth."""
    assert not growth(leak=2).is_flat
    assert not growth(files=5).is_flat
    assert not growth(threads=5).is_flat
    assert growth(leak=2).memory == pytest.approx(2 * MIB, rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process takes")
def test_a_process_is_measured() -> None:
    """This process has memory and files; one that does not exist has no sample."""
    mine = Sample.of(os.getpid(), 0.0)
    assert mine is not None
    assert mine.memory > MIB
    assert mine.files > 2
    assert Sample.of(2**22 + 1, 0.0) is None
