"""An installation without torch and transformers: everything but the generic network works."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

REFUSAL = """
import sys

for name in ("torch", "transformers"):
    sys.modules[name] = None  # an import raises ModuleNotFoundError, in this process and in those that it starts
"""
GENERIC = "core.inference.networks.generic"
Parley = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def parley(tmp_path: Path) -> Parley:
    """Runs the command with its input, where neither torch nor transformers can be imported."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text(REFUSAL)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path / 'hooks'}{os.pathsep}{Path.cwd()}",
        "PARLEY_DATA_DIR": str(tmp_path / "data"),
        "PARLEY_ENGINE__THREADS": "1",
    }

    def run(*arguments: str, said: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        command = (sys.executable, "-P", "-m", *arguments)
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**environment, **variables},
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_hook_refuses_both(parley: Parley) -> None:
    """What these tests rest on: neither can be imported there, and both can here."""
    assert find_spec("torch")
    assert find_spec("transformers")
    done = parley(GENERIC)
    assert "ModuleNotFoundError: import of torch halted" in done.stderr


def test_a_message_is_answered(parley: Parley) -> None:
    """The embedded model answers over the real model server, and its mood is read."""
    done = parley("bots", "chat", "--json", said="Hello there!\n")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stderr
    assert '"source": "model"' in done.stdout


@pytest.mark.long
def test_every_module_is_imported(parley: Parley) -> None:
    """No module but the generic network's imports either, nor does a library that one of them imports."""
    modules = [path for folder in ("bots", "config", "core") for path in Path(folder).rglob("*.py")]
    names = {".".join(path.with_suffix("").parts) for path in modules if "migrations" not in path.parts}
    ours = sorted(name for name in names - {GENERIC} if not name.endswith("__"))
    done = parley("timeit", "-n1", "-r1", f"import {', '.join(ours)}")
    assert done.returncode == 0, done.stderr
