"""Libraries that are compiled ahead: which one is loaded, with and without a compiler."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from core.errors import NoKernels
from core.inference.native import prebuild as command
from core.inference.native.build import AVX2, FOLDER, LEVELS, VNNI, Level, build, prebuild, prebuilt_path
from core.inference.native.library import open_kernels

STUB = """
#include "types.h"
const size_t STRUCT_SIZES[] = {sizeof(Linear), sizeof(Layer), sizeof(Model), sizeof(Batch), sizeof(Rounding)};
int enable_instructions(void) { return 0; }
void *open_pool(int threads) { return 0; }
void close_pool(void *pool) {}
size_t block_bytes(const Model *model) { return 0; }
size_t scratch_bytes(const Model *model, int tokens) { return 0; }
void forward(const Model *model, const Batch *batch) {}
void round_rows(Pool *pool, const Rounding *rounding) {}
"""
"""A library with the functions of the decoder, which is compiled in no time."""
TRAP = """
#include <stdio.h>
static void __attribute__((constructor)) loaded(void) { fclose(fopen(WHERE, "w")); }
"""
"""A library that leaves a file behind if it is loaded."""
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the levels of x86-64 are compiled")
app = typer.Typer()
app.command()(command.main)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The stub in place of the decoder, in a folder without compiled libraries."""
    folder = tmp_path / "package"
    folder.mkdir()
    shutil.copy(FOLDER / "types.h", folder)
    (folder / "decoder.c").write_text(STUB)
    return folder / "decoder.c"


@pytest.fixture
def old_processor(tmp_path: Path) -> Path:
    """The file in which Linux describes a processor with AVX2."""
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {' '.join(sorted(AVX2))}\n")
    return tmp_path / "cpuinfo"


def _level(name: str) -> Level:
    return next(level for level in LEVELS["x86_64"] if level.name == name)


def _without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")


@on_x86
def test_without_a_compiler_the_best_prebuilt_level_is_loaded(
    source: Path, old_processor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image has all levels and no compiler: the processor's own level runs, and nothing is written."""
    for level in LEVELS["x86_64"]:
        prebuild(level, source)
    _without_compiler(monkeypatch)
    assert open_kernels(tmp_path / "data", source, old_processor).level == "avx2"
    (tmp_path / "none").write_text("")
    assert open_kernels(tmp_path / "data", source, tmp_path / "none").level == "sse2"
    assert not (tmp_path / "data").exists()
    assert not (source.parent / "__pycache__").exists()


@on_x86
def test_a_level_that_is_not_prebuilt_is_left_out(
    source: Path, old_processor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only a lesser level is prebuilt, that one runs; without any, the reason is that of the best level."""
    _without_compiler(monkeypatch)
    with pytest.raises(NoKernels, match="no-such-compiler"):
        open_kernels(tmp_path / "data", source, old_processor)
    monkeypatch.delenv("CC")
    prebuild(_level("sse2"), source)
    _without_compiler(monkeypatch)
    assert open_kernels(tmp_path / "data", source, old_processor).level == "sse2"


@on_x86
def test_a_level_that_the_processor_cannot_run_is_never_loaded(
    source: Path, old_processor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to look at it: loading a library runs code of it, which ends the process on the wrong processor."""
    loaded = tmp_path / "loaded"
    (tmp_path / "trap.c").write_text(TRAP)
    for level in (_level("amx"), _level("avx512-vnni"), _level("avx512")):
        prebuilt_path(level, source).parent.mkdir(exist_ok=True)
        trap = (
            "cc",
            f'-DWHERE="{loaded}"',
            "-shared",
            "-fPIC",
            tmp_path / "trap.c",
            "-o",
            prebuilt_path(level, source),
        )
        subprocess.run(trap, check=True)
    prebuild(_level("avx2"), source)
    _without_compiler(monkeypatch)
    assert open_kernels(tmp_path / "data", source, old_processor).level == "avx2"
    assert not loaded.exists()
    with pytest.raises(AttributeError):  # the trap works, and has nothing of the decoder
        build(_level("avx512"), tmp_path, source).forward  # noqa: B018
    assert loaded.exists()


@on_x86
def test_a_prebuilt_level_comes_before_the_compiler(source: Path, old_processor: Path, tmp_path: Path) -> None:
    """With a compiler the prebuilt library is loaded all the same, and nothing is compiled."""
    prebuild(_level("avx2"), source)
    assert open_kernels(tmp_path / "data", source, old_processor).level == "avx2"
    assert [path.parent.name for path in tmp_path.rglob("*.so")] == ["prebuilt"]


@on_x86
def test_a_better_level_is_compiled_if_it_is_not_prebuilt(source: Path, old_processor: Path, tmp_path: Path) -> None:
    """A prebuilt level does not keep a machine with a compiler from its best one."""
    prebuild(_level("sse2"), source)
    assert open_kernels(tmp_path / "data", source, old_processor).level == "avx2"


@on_x86
def test_a_compiler_that_does_not_know_a_level_compiles_the_next(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old compiler that refuses the flags of VNNI still makes kernels for the same processor."""
    old = tmp_path / "old-compiler"
    old.write_text('#!/bin/sh\ncase "$*" in *avx512vnni*) echo unknown flag >&2; exit 1;; esac\nexec cc "$@"\n')
    old.chmod(0o755)
    monkeypatch.setenv("CC", str(old))
    (tmp_path / "cpuinfo").write_text(" ".join(VNNI))
    assert open_kernels(tmp_path / "data", source, tmp_path / "cpuinfo").level == "avx512"


def test_another_versions_library_is_not_loaded(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that was prebuilt from another source stays where it is."""
    [level] = [known[-1] for machine, known in LEVELS.items() if machine == platform.machine()]
    prebuild(level, source)
    source.write_text(f"{STUB}\n/* of the next version */\n")
    _without_compiler(monkeypatch)
    with pytest.raises(NoKernels):
        build(level, tmp_path, source)


def test_the_command_builds_the_named_levels() -> None:
    """An unknown level is refused, and the known ones are named; a compiler that fails is told in one line."""
    refused = _run("avx9000", "--machine", "x86_64")
    assert refused.exit_code == 2
    assert "avx512-vnni" in refused.output
    failed = _run("neon", "--machine", "aarch64", CC="no-such-compiler")
    assert (failed.exit_code, failed.output.count("\n")) == (1, 1)
    assert "no-such-compiler" in failed.output


def _run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={**os.environ, **environment}).invoke(app, arguments)
