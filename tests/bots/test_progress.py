"""Progress bars, in a terminal and without one."""

import os
import pty

import pytest

from bots.progress import counting, downloading, waiting


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets a line when a download begins, and no bar. Standard output gets nothing."""
    with waiting("copying"), downloading() as begin, counting("indexing") as progress:
        begin("model.safetensors", 988_000_000)(1, 988_000_000)
        progress(1, 2)
    shown = capsys.readouterr()
    assert shown.err == "downloading model.safetensors (988 MB)\n"
    assert shown.out == ""


def test_in_a_terminal_there_are_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets a bar with the number of what is done, and no line."""
    outer, inner = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(inner, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with counting("indexing") as progress:
            progress(2, 7)
        with waiting("copying"):
            pass
        terminal.flush()
        shown = b""
        while b"copying" not in shown:  # the kernel hands it over in pieces
            shown += os.read(outer, 1 << 16)
    os.close(outer)
    assert b"indexing" in shown
    assert b"2/7" in shown
