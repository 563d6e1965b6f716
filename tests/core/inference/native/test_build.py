"""How the decoder is compiled, for which processor, and what happens if the library does not fit."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from core.errors import NoKernels
from core.inference.native.build import AVX2, AVX512, FOLDER, LEVELS, PORTABLE, SOURCE, VNNI, Level, build, levels
from core.inference.native.library import Kernels


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the decoder's source, in a folder without compiled libraries."""
    folder = tmp_path / "package"
    folder.mkdir()
    for part in FOLDER.glob("*.[ch]"):
        shutil.copy(part, folder)
    return folder / "decoder.c"


@pytest.mark.parametrize(
    ("flags", "machine", "expected"),
    [
        (VNNI | {"amx_tile", "amx_int8"}, "x86_64", "amx"),
        (VNNI | {"amx_tile"}, "x86_64", "avx512-vnni"),
        (AVX512, "x86_64", "avx512"),
        (AVX512 - {"avx512bw"}, "x86_64", "avx2"),
        (AVX2, "x86_64", "avx2"),
        (AVX2 - {"fma"}, "x86_64", "sse2"),
        (frozenset(), "x86_64", "sse2"),
        (frozenset({"asimd"}), "aarch64", "neon"),
        (frozenset({"asimd", "asimddp"}), "aarch64", "neon-dotprod"),
        (frozenset(), "riscv64", "portable"),
    ],
)
def test_an_old_processor_gets_what_it_can_run(flags: frozenset[str], machine: str, expected: str) -> None:
    """The first level is the best one whose flags the processor has; the last resort needs no flags."""
    assert levels(flags, machine)[0].name == expected


def test_every_level_knows_what_it_needs() -> None:
    """Each machine's list ends with a level that every processor of the kind can run."""
    assert all(not known[-1].needs for known in LEVELS.values())


@pytest.mark.parametrize("level", [*LEVELS.get(platform.machine(), ()), PORTABLE], ids=lambda level: level.name)
def test_every_level_compiles_without_warnings(level: Level) -> None:
    """The compiler accepts the source of every level of this machine, also of those that its processor cannot run."""
    compiler = (os.environ.get("CC") or "cc").split()
    strict = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
    done = subprocess.run([*compiler, *level.flags, *strict, SOURCE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_compiler_is_no_kernels(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler, NoKernels names the one that is missing."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NoKernels, match="no-such-compiler"):
        build(PORTABLE, tmp_path, source)


def test_a_compiler_that_fails_is_no_kernels(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the compiler rejects our flags, NoKernels quotes its first line, and no file is left behind."""
    monkeypatch.setenv("CC", "ls")
    with pytest.raises(NoKernels, match="ls"):
        build(PORTABLE, tmp_path, source)
    assert not list(tmp_path.rglob("*.so"))


def test_compiled_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start loads the cached library; a change to any part of the source compiles it again."""
    build(PORTABLE, tmp_path, source)
    [first] = tmp_path.rglob("*.so")
    before = first.stat().st_mtime_ns
    build(PORTABLE, tmp_path, source)
    assert first.stat().st_mtime_ns == before
    monkeypatch.setenv("CC", "ls")
    for part in source.parent.glob("*.[ch]"):
        text = part.read_text("utf-8")
        part.write_text(text + "\n", "utf-8")
        with pytest.raises(NoKernels):
            build(PORTABLE, tmp_path, source)
        part.write_text(text, "utf-8")


def test_another_compilers_library_is_not_taken(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached library is loaded for the compiler that made it only."""
    build(PORTABLE, tmp_path, source)
    monkeypatch.setenv("CC", "ls")
    with pytest.raises(NoKernels):
        build(PORTABLE, tmp_path, source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_installation_caches_with_the_data(source: Path, tmp_path: Path) -> None:
    """If the source's folder is read-only, the library is cached in the data folder."""
    source.parent.chmod(0o500)
    build(PORTABLE, tmp_path / "data", source)
    assert list((tmp_path / "data" / "kernels").glob("*.so"))


@pytest.mark.parametrize("name", ["Linear", "Layer", "Model", "Batch"])
def test_a_library_whose_structures_differ_is_no_kernels(source: Path, tmp_path: Path, name: str) -> None:
    """A field that C has and Python has not is found when the library is loaded, not by a crash."""
    types = source.with_name("types.h")
    text = types.read_text("utf-8")
    assert text.count(f"}} {name};") == 1
    types.write_text(text.replace(f"}} {name};", f"    double added;\n}} {name};"), "utf-8")
    library = build(Level(name="unoptimised", needs=frozenset(), flags=("-O0",)), tmp_path, source)
    with pytest.raises(NoKernels, match=rf"{name} differs: \d+ bytes in C, \d+ in Python"):
        Kernels(library, "unoptimised")
