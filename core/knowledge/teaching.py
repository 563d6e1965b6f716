"""Entries that administrators write from the chat: they are added to one FAQ file of the folder."""

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w
from filelock import FileLock

from core.errors import AnsweredAlready, KnowledgeUnusable
from core.knowledge.folder import Source, read_sources
from core.knowledge.passages import Passage
from core.knowledge.readers import read_passages
from core.knowledge.terms import folded, words
from core.messages import Locale
from core.store.files import sync

FILE = "answered.toml"
LOCK_SECONDS = 10.0
"""Seconds to wait for another process that writes to the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An answer with the wordings of its question, all clean text."""

    language: Locale
    questions: tuple[str, ...]
    answer: str

    @property
    def passage(self) -> Passage:
        """What the entry is once it is read, but for its number in the file."""
        return Passage(
            id=FILE,
            entry=FILE,
            language=self.language,
            wordings=self.questions,
            text=self.answer,
            file=FILE,
            heading=self.questions[0],
            is_answer=True,
        )


def has_entry(folder: Path, entry: Entry) -> bool:
    """Whether the file has this very entry. Raises KnowledgeUnusable."""
    return any(_is_same(passage, entry) for passage in read_passages(read_sources(folder)))


def check_entry(folder: Path, entry: Entry) -> None:
    """Raises AnsweredAlready if another entry has one of the wordings, and KnowledgeUnusable if the folder could not
    be read with this entry.
    """
    _content_with(folder, entry)


def write_entry(folder: Path, entry: Entry) -> None:
    """Add an entry to the file, at once and for good; an entry that is there already is not added again.

    Raises as `check_entry` does, and KnowledgeUnusable if the file cannot be written.
    """
    path = folder / FILE
    if not folder.is_dir():  # the lock would make it
        raise KnowledgeUnusable(file=str(folder), reason="is not a folder")
    try:
        with FileLock(_beside(path, "lock"), timeout=LOCK_SECONDS):
            if not has_entry(folder, entry):
                _replace(path, _content_with(folder, entry))
    except OSError as error:
        raise KnowledgeUnusable(file=FILE, reason=error.strerror or "cannot be written") from error


def _content_with(folder: Path, entry: Entry) -> bytes:
    """The content of the file with the entry at its end, which is known to be readable."""
    sources = read_sources(folder)
    _check_wordings(read_passages(sources), entry)
    before = next((source.content for source in sources if source.name == FILE), b"")
    table = {entry.language: {"questions": list(entry.questions), "answer": entry.answer}}
    added = tomli_w.dumps({"entry": [table]}, multiline_strings=True).encode()
    content = before.rstrip() + b"\n\n" + added if before else added
    others = (source for source in sources if source.name != FILE)
    *_, last = read_passages([*others, Source(name=FILE, content=content)])
    assert _is_same(last, entry)
    return content


def _check_wordings(passages: tuple[Passage, ...], entry: Entry) -> None:
    asked = set(map(_words, entry.questions))
    for passage in passages:
        if not asked.isdisjoint(map(_words, passage.wordings)):
            raise AnsweredAlready(answer=passage.text)


def _words(question: str) -> tuple[str, ...]:
    plain = folded(question)
    return tuple(words(plain)) or (plain,)


def _is_same(passage: Passage, entry: Entry) -> bool:
    return replace(passage, id=FILE, entry=FILE) == entry.passage


def _replace(path: Path, content: bytes) -> None:
    """Put a file with this content in the place of an old one, whose mode it keeps. It is whole at any moment."""
    part = _beside(path, "partial")
    with part.open("wb") as file:
        if path.exists():
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)


def _beside(path: Path, ending: str) -> Path:
    """A hidden file in the same folder, which is not read as knowledge."""
    return path.with_name(f".{path.name}.{ending}")
