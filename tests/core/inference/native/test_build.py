"""How the decoder is compiled, and for which processor."""

import os
from pathlib import Path

import pytest

from core.errors import NoKernels
from core.inference.native import build as building
from core.inference.native.build import AVX2, AVX512, LEVELS, PORTABLE, VNNI, build, levels


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
        (frozenset(), "riscv64", "portable"),
    ],
)
def test_an_old_processor_gets_what_it_can_run(flags: frozenset[str], machine: str, expected: str) -> None:
    """The best level whose instructions are all there, and one that needs nothing in particular where none is."""
    assert levels(flags, machine)[0].name == expected


def test_every_level_knows_what_it_needs() -> None:
    """Each list ends with a level that runs on every processor of its kind."""
    assert all(not known[-1].needs for known in LEVELS.values())


def test_a_missing_compiler_is_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the reason is named."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NoKernels, match="no-such-compiler"):
        build(PORTABLE, tmp_path)


def test_a_compiler_that_fails_is_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that does not know our flags is named by its first words, and leaves nothing behind."""
    monkeypatch.setenv("CC", "ls")
    monkeypatch.setattr(building, "BESIDE", tmp_path / "beside")
    with pytest.raises(NoKernels, match="ls"):
        build(PORTABLE, tmp_path)
    assert not list(tmp_path.rglob("*.so"))


def test_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start finds the library and needs no compiler; another compiler's is not taken for it."""
    monkeypatch.setattr(building, "BESIDE", tmp_path / "beside")
    build(PORTABLE, tmp_path)
    [made] = tmp_path.rglob("*.so")
    before = made.stat().st_mtime_ns
    build(PORTABLE, tmp_path)
    assert made.stat().st_mtime_ns == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_installation_keeps_it_with_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the code's own folder cannot be written, the library lies in the data folder."""
    package = tmp_path / "package"
    package.mkdir()
    source = package / "decoder.c"
    source.write_bytes(building.SOURCE.read_bytes())
    package.chmod(0o500)
    monkeypatch.setattr(building, "SOURCE", source)
    monkeypatch.setattr(building, "BESIDE", package / "__pycache__")
    build(PORTABLE, tmp_path / "data")
    assert list((tmp_path / "data" / "kernels").glob("*.so"))
