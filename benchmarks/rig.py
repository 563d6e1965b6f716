"""Configuration of a benchmark run: the model in the format of each engine, threads, rounds."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Unavailable
from benchmarks.processes import CACHE, ROOT

ALTERNATIVES = CACHE / "alternatives"
"""Default folder of what `benchmarks/alternatives/setup.sh` installs and builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """`model` is the folder that Parley serves. The alternatives' formats are converted from it on first use.

    Properties of the alternatives raise Unavailable if these are not installed.
    """

    model: Path
    threads: int
    rounds: int
    dtype: str
    alternatives: Path = ALTERNATIVES

    @property
    def python(self) -> Path:
        """Interpreter of the alternatives' virtual environment."""
        return self._installed(self.alternatives / "venv" / "bin" / "python")

    @property
    def llama_server(self) -> Path:
        return self._installed(self.alternatives / "llama.cpp" / "bin" / "llama-server")

    @property
    def gguf(self) -> Path:
        return self._converted() / "q8_0.gguf"

    @property
    def ctranslate2(self) -> Path:
        return self._converted() / "ctranslate2"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the alternatives' programs: llama-cpp-python loads the library that was compiled here."""
        library = str(self.alternatives / "llama.cpp" / "bin")
        return os.environ | {"PYTHONPATH": str(ROOT), "LLAMA_CPP_LIB_PATH": library, "LD_LIBRARY_PATH": library}

    def _converted(self) -> Path:
        folder = self.model.with_name(f"{self.model.name}-alternatives")
        command = [str(self.python), "-m", "benchmarks.alternatives.convert", str(self.model), str(folder)]
        subprocess.run(command, env=self.environment, check=True, stdout=sys.stderr)
        return folder

    def _installed(self, path: Path) -> Path:
        if not path.exists():
            raise Unavailable("not installed: run `make bench-alternatives`")
        return path
