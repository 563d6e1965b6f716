"""Configuration of a benchmark run: the model in the format of each engine, threads, rounds."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Unavailable
from benchmarks.processes import CACHE, ROOT
from core.inference.checkpoint.opening import open_checkpoint

ALTERNATIVES = CACHE / "alternatives"
"""Default folder of what `benchmarks/alternatives/setup.sh` installs and builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """`model` is the folder that Parley serves. The alternatives' formats are converted from it on first use.

    What concerns the alternatives raises Unavailable if these are not installed.
    """

    model: Path
    threads: int
    rounds: int
    alternatives: Path = ALTERNATIVES

    @property
    def python(self) -> Path:
        """Interpreter of the alternatives' virtual environment."""
        return self._installed(self.alternatives / "venv" / "bin" / "python")

    @property
    def llama_server(self) -> Path:
        return self._installed(self.alternatives / "llama.cpp" / "bin" / "llama-server")

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the alternatives' programs: llama-cpp-python loads the library that was compiled here."""
        library = str(self.alternatives / "llama.cpp" / "bin")
        own = {"PYTHONPATH": str(ROOT), "LLAMA_CPP_LIB_PATH": library, "LD_LIBRARY_PATH": library}
        return os.environ | own | {"HF_HUB_OFFLINE": "1"}

    def converted(self, name: str) -> Path:
        """The model in a format of `benchmarks/alternatives/convert.py`. Raises Unavailable if that is impossible."""
        checkpoint = open_checkpoint(self.model)
        into = CACHE / "converted" / f"{checkpoint.name}-{checkpoint.fingerprint}"
        if (into / name).exists():
            return into / name
        command: list[Path | str] = [self.python, "-m", "benchmarks.alternatives.convert", self.model, into, name]
        try:
            subprocess.run(command, cwd=ROOT, env=self.environment, check=True, stdout=sys.stderr)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"{name}: cannot be converted") from error
        return into / name

    def _installed(self, path: Path) -> Path:
        if not path.exists():
            raise Unavailable("not installed: run `make bench-alternatives`")
        return path
