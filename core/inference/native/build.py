"""The decoder as a library for each processor level: prebuilt, or compiled by this machine's C compiler and cached."""

import ctypes
import hashlib
import os
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import NoKernels

FOLDER: Final = Path(__file__).parent
SOURCE: Final = FOLDER / "decoder.c"
FLAGS: Final = ("-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-pthread")
COMPILE_SECONDS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A processor level: the CPU flags it needs, named as in /proc/cpuinfo, and the compiler flags that select it."""

    name: str
    needs: frozenset[str]
    flags: tuple[str, ...]


AVX2: Final = frozenset({"avx2", "fma", "f16c", "bmi2"})
AVX512: Final = AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
VNNI: Final = AVX512 | {"avx512_vnni"}
LEVELS: Final = {
    "x86_64": (
        Level(
            name="amx",
            needs=VNNI | {"amx_tile", "amx_int8"},
            flags=("-march=x86-64-v4", "-mavx512vnni", "-mamx-tile", "-mamx-int8"),
        ),
        Level(name="avx512-vnni", needs=VNNI, flags=("-march=x86-64-v4", "-mavx512vnni")),
        Level(name="avx512", needs=AVX512, flags=("-march=x86-64-v4",)),
        Level(name="avx2", needs=AVX2, flags=("-march=x86-64-v3",)),
        Level(name="sse2", needs=frozenset(), flags=("-march=x86-64",)),
    ),
    "aarch64": (
        Level(name="neon-dotprod", needs=frozenset({"asimddp"}), flags=("-march=armv8.2-a+dotprod",)),
        Level(name="neon", needs=frozenset(), flags=("-march=armv8-a",)),
    ),
}
"""Levels of each machine, best first."""
PORTABLE: Final = Level(name="portable", needs=frozenset(), flags=())
"""The level of all other machines: the compiler's defaults."""


def levels(flags: frozenset[str], machine: str) -> tuple[Level, ...]:
    """The levels that a processor with these CPU flags can run, best first."""
    return tuple(level for level in LEVELS.get(machine, (PORTABLE,)) if level.needs <= flags)


def build(level: Level, data_dir: Path, source: Path = SOURCE) -> ctypes.CDLL:
    """Loads a level's library, compiling it if it is neither prebuilt nor cached. Raises NoKernels if either fails.

    The prebuilt one comes first even if there is a compiler: it is what was tested with the installation, and the
    compiler would take seconds to make the same code for the level. The cache is `__pycache__` beside the source, or
    `kernels` in the data folder if the source's folder is read-only.
    """
    command = (*_compiler(), *FLAGS, *level.flags)
    name = _name(level, source, command)
    beside, with_data = source.parent / "__pycache__" / name, data_dir / "kernels" / name
    found = next((path for path in (prebuilt_path(level, source), beside, with_data) if path.exists()), None)
    target = beside if os.access(source.parent, os.W_OK) else with_data
    try:
        return ctypes.CDLL(str(found or _compile(command, source, target)))
    except OSError as error:
        raise NoKernels(str(source), str(error)) from error


def prebuild(level: Level, source: Path = SOURCE) -> Path:
    """Compiles a level's library into the installation, also for another processor than this one. Raises NoKernels."""
    try:
        return _compile((*_compiler(), *FLAGS, *level.flags), source, prebuilt_path(level, source))
    except OSError as error:
        raise NoKernels(str(source), str(error)) from error


def prebuilt_path(level: Level, source: Path = SOURCE) -> Path:
    """The place of a level's prebuilt library, by any compiler. That of another source has another name."""
    return source.parent / "prebuilt" / _name(level, source, (*FLAGS, *level.flags))


def _compiler() -> tuple[str, ...]:
    return tuple((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split())


def _name(level: Level, source: Path, command: tuple[str, ...]) -> str:
    """A library's name, with a hash of what it is made from: the C files that it may include, and the command."""
    parts = sorted({*source.parent.glob("*.[ch]"), *FOLDER.glob("*.[ch]")})
    text = "\0".join((*(part.read_text("utf-8") for part in parts), *command))
    return f"{source.stem}-{level.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"


def _compile(command: tuple[str, ...], source: Path, target: Path) -> Path:
    """Compiles into a temporary folder, then renames: another process never loads an unfinished library."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        compiled = Path(folder, target.name)
        try:
            subprocess.run(  # noqa: S603  this machine's compiler, on our own source
                [*command, str(source), "-o", str(compiled), "-lm"],
                check=True,
                capture_output=True,
                text=True,
                timeout=COMPILE_SECONDS,
            )
        except subprocess.SubprocessError as error:
            output = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise NoKernels(str(source), output[0] if output else "the compiler failed") from error
        return compiled.replace(target)
