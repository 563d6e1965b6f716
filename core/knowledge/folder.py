"""The folder of knowledge: which files are read, and nothing outside it."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import KnowledgeUnusable

SUFFIXES = frozenset({".toml", ".csv", ".md", ".markdown", ".txt", ".pdf", ".docx", ".html", ".htm"})
NO_DOCUMENT = (".", "~$")
"""Beginnings of hidden files, and of those that lie beside a document that is open in Word."""
MAX_FILE_BYTES = 8 << 20
MAX_FILES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file's bytes. `name` is its path below the folder, with slashes."""

    name: str
    content: bytes


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of each file; equal if nothing was changed. Raises KnowledgeUnusable."""
    return tuple((_name(folder, path), stat.st_size, stat.st_mtime_ns) for path, stat in _files(folder))


def read_sources(folder: Path) -> tuple[Source, ...]:
    """All files of knowledge. Raises KnowledgeUnusable if one is too large, or cannot be read."""
    return tuple(Source(name=_name(folder, path), content=_content(folder, path)) for path, _ in _files(folder))


def digest(sources: tuple[Source, ...]) -> str:
    """Fingerprint of names and contents."""
    whole = hashlib.sha256()
    for source in sources:
        for part in (source.name.encode(errors="surrogateescape"), source.content):
            whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files with a known suffix, by name. Links are not followed, hidden files are not read."""
    if not folder.is_dir():
        raise KnowledgeUnusable(file=str(folder), reason="is not a folder")
    try:
        files = [(path, path.lstat()) for path in sorted(_visible(folder)) if not path.is_symlink() and path.is_file()]
    except OSError as error:
        raise KnowledgeUnusable(file=str(error.filename), reason=error.strerror or "cannot be read") from error
    if len(files) > MAX_FILES:
        raise KnowledgeUnusable(file=str(folder), reason=f"has {len(files)} files; at most {MAX_FILES:,} are read")
    yield from files


def _visible(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]  # os.walk does not enter the others
        for name in names:
            if not name.startswith(NO_DOCUMENT) and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _raise(error: OSError) -> None:
    raise error


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _content(folder: Path, path: Path) -> bytes:
    name = _name(folder, path)
    try:
        # O_NOFOLLOW: the file may have been replaced by a link since the folder was listed
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KnowledgeUnusable(file=name, reason=error.strerror or "cannot be read") from error
    if len(content) > MAX_FILE_BYTES:
        raise KnowledgeUnusable(file=name, reason=f"has more than {MAX_FILE_BYTES >> 20} MiB")
    return content
