import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bots.cli import app

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in pinned}


def _requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    required = [Requirement(text) for text in (*project["dependencies"], *extras)]
    return [requirement for requirement in required if requirement.name != project["name"]]  # an extra names others


@pytest.mark.parametrize("requirement", _requirements(), ids=lambda requirement: requirement.name)
def test_the_pinned_version_is_in_the_required_range(requirement: Requirement) -> None:
    """Each dependency is pinned to a version within its required range."""
    assert requirement.specifier.contains(_constraints()[canonicalize_name(requirement.name)])


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    """What setuptools puts into the wheel is all that the packages hold: code, words, prompts, C sources, the model."""
    build: list[str | Path] = ["egg_info", "--egg-base", tmp_path, "build_py", "--build-lib", tmp_path / "wheel"]
    subprocess.run(
        [sys.executable, "-c", "import setuptools; setuptools.setup()", "--quiet", *build],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert _files(ROOT) - _files(tmp_path / "wheel") == set()


def _files(root: Path) -> set[str]:
    paths = [path for package in ("bots", "config", "core") for path in (root / package).rglob("*")]
    made = {"__pycache__", "prebuilt"}  # by a machine, for itself
    kept = [path for path in paths if path.is_file() and made.isdisjoint(path.parts)]
    return {path.relative_to(root).as_posix() for path in kept}


def test_ci_runs_the_readmes_test_command() -> None:
    """The command that CI runs is the one the README gives."""
    assert "\nmake test\n" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(r"^make test\b", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)


def test_ci_checks_everything_that_make_check_does() -> None:
    """`make check` is `make lint` and `make test`, and CI runs both."""
    assert re.search(r"^check: lint test$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert re.search(r"^make lint\b", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_documents_name_targets_that_exist(document: str) -> None:
    """Each `make` command in the documents is a target of the Makefile."""
    text = (ROOT / document).read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)


def test_the_readme_lists_every_command() -> None:
    """Each command of the program is in the README's table."""
    listed = re.findall(r"^\| `([a-z-]+)[^|]*` \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(typer.main.get_group(app).commands) <= set(listed)


@pytest.mark.parametrize("script", ["setup.sh", ".ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    """Scripts are executable and free of syntax errors."""
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_set_up_says_which_python_is_needed(tmp_path: Path) -> None:
    """Without Python 3.11 or newer, set-up ends at once with a message that says so."""
    for tool in ("sh", "grep"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    done = subprocess.run(
        ["sh", ROOT / "setup.sh", tmp_path / "venv", "."],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Parley needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(("requires", "installable"), [("triton==3.7.0", False), ("jinja2", True)])
def test_no_cuda_build_is_installed(tmp_path: Path, requires: str, *, installable: bool) -> None:
    """A torch that requires triton, as CUDA builds do, is refused; one that does not is installed."""
    version = _constraints()["torch"]
    _write_wheel(tmp_path, "torch", version, f"Requires-Dist: {requires}\n")
    _write_wheel(tmp_path, "triton", "3.7.0")
    _write_wheel(tmp_path, "jinja2", _constraints()["jinja2"])
    quietly = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-index"]
    done = subprocess.run(
        [*quietly, "--find-links", tmp_path, "--constraint", ROOT / "constraints.txt", f"torch=={version}"],
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == installable, done.stderr


def _write_wheel(folder: Path, name: str, version: str, metadata: str = "") -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
