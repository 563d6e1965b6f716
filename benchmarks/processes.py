"""Child processes of the benchmarks: where they run, in which environment, and how they are stopped."""

import os
import subprocess
from pathlib import Path
from typing import AnyStr

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
STOP_SECONDS = 30


def data_dir(precision: str) -> Path:
    """Parley's data folder for one precision: weights of another one are deleted when a model is quantised."""
    return CACHE / "data" / precision


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of Parley, and with the repository on the import path."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")} | {
        "PYTHONPATH": str(ROOT)
    }


def wait_or_kill(process: subprocess.Popen[AnyStr]) -> None:
    """Waits for a process that was asked to end, and kills it after `STOP_SECONDS`."""
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
