from pathlib import Path

import pytest

from core.errors import AnsweredAlready, KnowledgeUnusable
from core.knowledge.folder import read_sources
from core.knowledge.passages import Passage
from core.knowledge.readers import read_passages
from core.knowledge.teaching import FILE, Entry, check_entry, has_entry, write_entry

POOL = Entry(language="en", questions=("How deep is the pool?", "pool depth"), answer="Two metres.")
OLD = '# by hand\n[[entry]]\n[entry.zh]\nquestions = ["几点开门？"]  # wordings\nanswer = "九点。"'


def passages(folder: Path) -> tuple[Passage, ...]:
    return read_passages(read_sources(folder))


@pytest.mark.parametrize(
    "text",
    [
        'a "quoted" word, """three""" and \'single\' ones',
        "C:\\new\\table \\u0041 \\",
        "[[entry]]\n[entry.en]\nanswer = 1 # no comment",
        "two\n\nparagraphs\n- and\ta list",
        "游泳池多深？两米。🏊",
    ],
)
def test_an_entry_is_read_as_it_was_written(tmp_path: Path, text: str) -> None:
    """Whatever characters it has, question and answer come back as they are."""
    write_entry(tmp_path, Entry(language="zh", questions=(" ".join(text.split()), "又一个"), answer=text))
    (read,) = passages(tmp_path)
    assert (read.wordings, read.text, read.language) == ((" ".join(text.split()), "又一个"), text, "zh")


def test_what_the_file_had_stays(tmp_path: Path) -> None:
    """The entry is added at the end; comments, form and mode of the file are left as they are."""
    (tmp_path / FILE).write_text(OLD, "utf-8")
    (tmp_path / FILE).chmod(0o640)
    write_entry(tmp_path, POOL)
    assert (tmp_path / FILE).read_text("utf-8").startswith(OLD)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o640
    assert [passage.text for passage in passages(tmp_path)] == ["九点。", "Two metres."]


def test_a_reader_sees_a_whole_file(tmp_path: Path) -> None:
    """Who has opened the file reads the old one to its end: it is replaced, not written over."""
    (tmp_path / FILE).write_text(OLD, "utf-8")
    with (tmp_path / FILE).open(encoding="utf-8") as reader:
        write_entry(tmp_path, POOL)
        assert reader.read() == OLD


def test_an_entry_is_written_once(tmp_path: Path) -> None:
    """The same entry again, as after a crash, changes nothing."""
    write_entry(tmp_path, POOL)
    written = (tmp_path / FILE).read_bytes()
    assert has_entry(tmp_path, POOL)
    write_entry(tmp_path, POOL)
    assert (tmp_path / FILE).read_bytes() == written


def test_what_a_crash_has_left_is_not_read(tmp_path: Path) -> None:
    """An unfinished file is no knowledge, and in nobody's way."""
    (tmp_path / f".{FILE}.partial").write_text("[[entry")
    assert passages(tmp_path) == ()
    write_entry(tmp_path, POOL)
    assert has_entry(tmp_path, POOL)


def test_a_wording_that_has_an_answer_is_refused(tmp_path: Path) -> None:
    """Two entries must not answer the same question, whichever file has the first one; the answer is named."""
    (tmp_path / "faq.csv").write_text("questions,answer\nPool  depth!,Three metres.\n")
    for add in (check_entry, write_entry):
        with pytest.raises(AnsweredAlready) as refused:
            add(tmp_path, POOL)
        assert refused.value.answer == "Three metres."
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("fault", ["no folder", "a folder in its place", "broken"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, fault: str) -> None:
    """Nothing is changed then, and no folder is made."""
    folder = tmp_path / "knowledge"
    if fault != "no folder":
        folder.mkdir()
    if fault == "a folder in its place":
        (folder / FILE).mkdir()
    if fault == "broken":
        (folder / FILE).write_text("[[entry")
    with pytest.raises(KnowledgeUnusable):
        write_entry(folder, POOL)
    assert folder.exists() == (fault != "no folder")
    assert fault != "broken" or (folder / FILE).read_text() == "[[entry"


def test_an_entry_that_the_folder_cannot_hold_is_refused(tmp_path: Path) -> None:
    """An answer that would be too long for the reader is refused before it is written."""
    with pytest.raises(KnowledgeUnusable, match=r"at most 4,000"):
        check_entry(tmp_path, Entry(language="en", questions=("How deep?",), answer="x" * 4_001))
