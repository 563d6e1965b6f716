"""A newcomer's walk from nothing to the first answer, in seconds and megabytes: `python -m benchmarks.newcomer`.

Each way starts in an empty folder without caches: a clone and `make chat`, the wheel and pip, and `uvx` if uv is
installed. The indexes are those of this machine's pip. What pip takes from this machine's own disk is not counted as
downloaded, and uv does not say what it downloads.
"""

import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeAlias

import typer

from benchmarks.machine import describe_machine
from benchmarks.processes import ROOT, wait_or_kill

HELLO = "Hello!\n"
HEAD = "| way | first answer, s | the next time, s | disk, MB | downloaded, MB |"
MEGABYTE = 1e6
DOWNLOADED = re.compile(r"Downloading .*\((\d+(?:\.\d+)?) ([kM]B)\)$", re.MULTILINE)
"""A line of pip's log, such as "Downloading numpy-2.4.0-cp311-manylinux.whl (16.6 MB)"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Seconds to the first answer of the first and of the second start, and megabytes of both together."""

    first: float
    again: float
    disk: float
    download: float


Command: TypeAlias = Sequence[str | Path]
Way: TypeAlias = Callable[[Path, Mapping[str, str]], Command]
"""Sets Parley up in an empty folder with some environment, and returns the command that chats."""


def main(
    way: Annotated[list[str] | None, typer.Argument(help="clone, wheel or uvx; all if none is named.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Walks for each way; the medians are printed.")] = 1,
) -> None:
    """Walk each way, and print a table."""
    print(f"{describe_machine()}\n\n{HEAD}\n|---|---|---|---|---|", flush=True)
    for name in way or [name for name in WAYS if name != "uvx" or shutil.which("uvx")]:
        walks = [walk(WAYS[name]) for _ in range(runs)]
        cells = (
            f"{statistics.median(getattr(done, field) for done in walks):.1f}"
            for field in ("first", "again", "disk", "download")
        )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def walk(way: Way) -> Walk:
    """Walk one way from an empty folder."""
    with TemporaryDirectory(prefix="newcomer-") as found:
        folder = Path(found)
        log = folder / "pip.log"
        environment = _plain() | {
            "PARLEY_DATA_DIR": str(folder / "data"),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_LOG": str(log),
            "UV_CACHE_DIR": str(folder / "uv"),
        }
        begun = time.perf_counter()
        command = way(folder, environment)
        first = _until_answered(command, folder, environment, begun)
        again = _until_answered(command, folder, environment, time.perf_counter())
        return Walk(first=first, again=again, disk=_megabytes(folder), download=_downloaded(log))


def _clone(folder: Path, environment: Mapping[str, str]) -> Command:
    _run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", folder / "parley"], folder, environment)
    return ["make", "--no-print-directory", "-C", folder / "parley", "chat"]


def _wheel(folder: Path, environment: Mapping[str, str]) -> Command:
    wheel, venv = _built(folder, environment), folder / "venv"
    _run([sys.executable, "-m", "venv", venv], folder, environment)
    _run([venv / "bin" / "pip", "install", "--quiet", wheel], folder, environment)
    return [venv / "bin" / "parley", "chat"]


def _uvx(folder: Path, environment: Mapping[str, str]) -> Command:
    return ["uvx", "--python", sys.executable, "--from", _built(folder, environment), "parley", "chat"]


WAYS: Mapping[str, Way] = {"clone": _clone, "wheel": _wheel, "uvx": _uvx}


def _built(folder: Path, environment: Mapping[str, str]) -> Path:
    """The wheel. Its build counts too, since nothing is published; it takes seconds."""
    source, wheels = folder / "source", folder / "wheels"
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    _run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", source], folder, environment)
    _run([*pip_wheel, "--wheel-dir", wheels, source], folder, environment)
    shutil.rmtree(source)
    return next(wheels.glob("parley-*.whl"))


def _run(command: Command, folder: Path, environment: Mapping[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def _until_answered(command: Command, folder: Path, environment: Mapping[str, str], begun: float) -> float:
    """Seconds from `begun` to the first line of the chat. Raises RuntimeError if it ends without one."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(HELLO)
        chat.stdin.flush()
        answer = chat.stdout.readline()
        seconds = time.perf_counter() - begun
        chat.stdin.close()
        wait_or_kill(chat)
    if not answer.strip():
        raise RuntimeError(f"no answer from {' '.join(map(str, command))}")
    return seconds


def _downloaded(log: Path) -> float:
    """The megabytes that pip says it has downloaded; uv does not say."""
    if not log.exists():
        return math.nan
    found = DOWNLOADED.findall(log.read_text("utf-8", "replace"))
    return sum(float(size) / (1 if unit == "MB" else 1000) for size, unit in found)


def _megabytes(folder: Path) -> float:
    """What a folder takes on the disk; a file with two names counts once."""
    files = {(found := path.lstat()).st_ino: found.st_blocks * 512 for path in folder.rglob("*") if not path.is_dir()}
    return sum(files.values()) / MEGABYTE


def _plain() -> dict[str, str]:
    """The environment of somebody who has never run Parley and is in no virtual environment."""
    ours = {"PYTHONPATH", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("PARLEY_")}


if __name__ == "__main__":
    typer.run(main)
