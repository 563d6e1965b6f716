"""Compiles decoder.c with the machine's own compiler, once for each kind of processor, and keeps the library."""

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

SOURCE: Final = Path(__file__).with_name("decoder.c")
BESIDE: Final = SOURCE.parent / "__pycache__"
FLAGS: Final = ("-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-pthread")
COMPILE_SECONDS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A kind of processor: what it must have, and how to compile for it."""

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
    "aarch64": (Level(name="neon", needs=frozenset(), flags=("-march=armv8-a",)),),
}
"""The best first. Elsewhere the compiler's defaults have to do."""
PORTABLE: Final = Level(name="portable", needs=frozenset(), flags=())


def levels(flags: frozenset[str], machine: str) -> tuple[Level, ...]:
    """What a processor can run, the best first."""
    return tuple(level for level in LEVELS.get(machine, (PORTABLE,)) if level.needs <= flags)


def build(level: Level, data_dir: Path) -> ctypes.CDLL:
    """The library for a level of this machine, compiled unless it has been. NoKernels where that cannot be.

    It is kept beside the code it is made from, as Python keeps its own, or in the data folder where that is read-only.
    """
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    command = (*compiler, *FLAGS, *level.flags)
    digest = hashlib.sha256("\0".join((SOURCE.read_text("utf-8"), *command)).encode()).hexdigest()[:16]
    paths = [folder / f"decoder-{level.name}-{digest}.so" for folder in (BESIDE, data_dir / "kernels")]
    made = next((path for path in paths if path.exists()), None)
    try:
        return ctypes.CDLL(str(made or _compile(command, paths[0] if os.access(SOURCE.parent, os.W_OK) else paths[1])))
    except OSError as error:
        raise NoKernels(str(SOURCE), str(error)) from error


def _compile(command: tuple[str, ...], path: Path) -> Path:
    """Made under another name first: nobody loads half a library, and two processes may do this at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        try:
            subprocess.run(  # noqa: S603  the compiler of the machine, on our own source
                [*command, str(SOURCE), "-o", str(made), "-lm"],
                check=True,
                capture_output=True,
                text=True,
                timeout=COMPILE_SECONDS,
            )
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise NoKernels(str(SOURCE), said[0] if said else "the compiler failed") from error
        return made.replace(path)
