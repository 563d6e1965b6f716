"""What every measurement is given: the model in each side's form, how many threads, how often."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Absent
from benchmarks.sides import ROOT

CACHE = ROOT / ".cache" / "benchmarks"
ALTERNATIVES = CACHE / "alternatives"
"""Where `benchmarks/alternatives/setup.sh` puts its environment and what it has built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """`model` is the folder that Parley serves; the alternatives' own forms of it are made when first asked for."""

    model: Path
    threads: int
    rounds: int
    dtype: str
    alternatives: Path = ALTERNATIVES

    @property
    def python(self) -> Path:
        """The interpreter of the alternatives' environment."""
        return self._present(self.alternatives / "venv" / "bin" / "python")

    @property
    def llama_server(self) -> Path:
        return self._present(self.alternatives / "llama.cpp" / "bin" / "llama-server")

    @property
    def gguf(self) -> Path:
        return self._converted() / "q8_0.gguf"

    @property
    def ctranslate2(self) -> Path:
        return self._converted() / "ctranslate2"

    @property
    def environment(self) -> dict[str, str]:
        """For programs of the alternatives: llama-cpp-python takes the library that was compiled here."""
        library = str(self.alternatives / "llama.cpp" / "bin")
        return os.environ | {"PYTHONPATH": str(ROOT), "LLAMA_CPP_LIB_PATH": library, "LD_LIBRARY_PATH": library}

    @property
    def ours(self) -> dict[str, str]:
        """For programs of ours: no setting but those that are given."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        return own | {"PYTHONPATH": str(ROOT)}

    def _converted(self) -> Path:
        folder = self.model.with_name(f"{self.model.name}-alternatives")
        command = [self.python, "-m", "benchmarks.alternatives.convert", self.model, folder]
        subprocess.run(command, env=self.environment, check=True, stdout=sys.stderr)
        return folder

    def _present(self, path: Path) -> Path:
        if not path.exists():
            raise Absent("absent: `make bench-alternatives`")
        return path
