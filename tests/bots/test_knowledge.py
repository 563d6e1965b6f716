"""`parley knowledge` lists, checks, searches and adds files."""

import io
from pathlib import Path

import pytest

from bots.knowledge import add_file, check_files, list_files, search_files
from config.settings import KnowledgeSettings, Settings
from core.errors import ConfigError, KnowledgeUnusable

SHOP = Path(__file__).parents[2] / "config" / "faq" / "lantern-and-leaf.toml"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "faq.toml").write_bytes(SHOP.read_bytes())
    return Settings(data_dir=tmp_path / "data", knowledge=KnowledgeSettings(folder=folder))


def test_files_are_listed(settings: Settings) -> None:
    """A line a file says how much is in it."""
    out = io.StringIO()
    list_files(settings, out)
    assert out.getvalue() == "faq.toml: 48 answers, 0 sections (en, zh)\n"


def test_a_search_shows_what_it_decides_by(settings: Settings) -> None:
    """A search prints score, passage and thresholds, and says which one answers."""
    out = io.StringIO()
    search_files(settings, "How can I pay?", out)
    first, *_ = out.getvalue().splitlines()
    assert first.startswith("1.00  faq.toml#6.en  said word for word, from 0.")
    assert "too unlike, below 0." in out.getvalue()


def test_a_doubled_question_is_named(settings: Settings, tmp_path: Path) -> None:
    """A check names the entries that answer the same question."""
    more, out = tmp_path / "more.csv", io.StringIO()
    more.write_text("questions,answer\nhow can I PAY?,Only in cash.\n")
    add_file(settings, more, out)
    check_files(settings, out)
    added, doubled, total = out.getvalue().splitlines()
    assert added == "more.csv: 1 passages added, 49 in all"
    assert "(faq.toml#6, more.csv#1)" in doubled
    assert total.startswith("49 passages, version ")


@pytest.mark.parametrize(("name", "reason"), [("faq.toml", "exists"), ("bad.csv", "columns"), ("a.exe", "end in")])
def test_an_unusable_file_is_not_added(settings: Settings, tmp_path: Path, name: str, reason: str) -> None:
    """A file that exists, cannot be read or is of another kind is refused, and the folder stays as it was."""
    file = tmp_path / name
    file.write_bytes(SHOP.read_bytes())
    with pytest.raises(KnowledgeUnusable, match=reason):
        add_file(settings, file, io.StringIO())
    out = io.StringIO()
    list_files(settings, out)
    assert out.getvalue().startswith("faq.toml: 48 answers")
    assert len(out.getvalue().splitlines()) == 1


def test_without_a_folder_there_is_nothing_to_search(tmp_path: Path) -> None:
    """The setting is named if it is missing."""
    with pytest.raises(ConfigError, match=r"knowledge\.folder"):
        search_files(Settings(data_dir=tmp_path), "Hello?", io.StringIO())
