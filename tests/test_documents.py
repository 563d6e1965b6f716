import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!\w+://)([^)#]+)\)")
PATH = re.compile(r"`((?:bots|config|core|docs|tests|training|benchmarks)/[\w./-]*)`")
RECIPES = ROOT / "CONTRIBUTING.md"


def _name(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_to_files(document: Path) -> None:
    """Every relative link in a document leads to a file or folder."""
    links = LINK.findall(document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path != RECIPES], ids=_name)
def test_named_paths_exist(document: Path) -> None:
    """Every path that a document names exists; the recipes also name files that a reader is to create."""
    paths = PATH.findall(document.read_text("utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_decisions_are_numbered_and_listed() -> None:
    """Decisions have consecutive numbers and three parts, and the list names all of them."""
    folder = ROOT / "docs/decisions"
    files = sorted(folder.glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    assert LINK.findall((folder / "README.md").read_text("utf-8")) == [path.name for path in files]
    for path in files:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", path.read_text("utf-8"), re.MULTILINE)
        assert parts == ["Context", "Choice", "Consequence"]
