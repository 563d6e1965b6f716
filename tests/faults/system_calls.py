"""The system calls of this process on the files of one folder, shown to a hook that may have them fail.

Faults are made below SQLite, by a C library that is loaded before the C library (LD_PRELOAD), for three reasons. The
store runs unchanged, on the SQLite that Python's `sqlite3` is linked with; a VFS of `apsw` would bring another SQLite
and another driver. An errno is turned into SQLite's own errors by SQLite itself. And the calls that the store makes
without SQLite are seen too: it syncs folders, renames, links and compares files.

Not seen are what is written through a mapping, which SQLite does to the index of its log only, and `close`.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from core.inference.native.build import PORTABLE, build

SOURCE = Path(__file__).with_suffix(".c")
PRELOADED = "LD_PRELOAD"
DONE = -1
"""A hook's answer that has a call succeed without being made."""
NEEDS_ROOM = frozenset({"write", "truncate", "sync", "link"})
"""Calls that a full disk may refuse, beside the creation of a file: a delayed allocation fails at the sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that is about to be made. `data` is what a write writes, `size` what a file is truncated to.

    An opening `creates` a file that does not exist yet.
    """

    name: str
    path: str
    target: str
    data: bytes
    size: int
    offset: int
    flags: int
    creates: bool

    def __str__(self) -> str:
        return f"{self.name} {Path(self.path).name}"

    @property
    def needs_room(self) -> bool:
        return self.name in NEEDS_ROOM or self.creates


Hook: TypeAlias = Callable[[Call], int]
"""Returns the errno to fail with, 0 to make the call, or DONE."""


class _Call(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("path", ctypes.c_char_p),
        ("target", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
    )


_HOOK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Call))


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process whose calls can be seen. The library is compiled into the folder."""
    assert sys.platform == "linux"
    return os.environ | {PRELOADED: build(PORTABLE, folder, SOURCE)._name}


@contextmanager
def watched(folder: Path, hook: Hook) -> Iterator[None]:
    """Show each call on the folder and what is in it to the hook. The process must have been started for it."""
    library = ctypes.CDLL(os.environ[PRELOADED])
    called = _HOOK(lambda call: hook(_read(call.contents)))
    library.watch(os.fsencode(folder), called)
    try:
        yield
    finally:
        library.watch(b"", _HOOK())


def _read(call: _Call) -> Call:
    name, path = call.name.decode(), os.fsdecode(call.path)
    return Call(
        name=name,
        path=path,
        target=os.fsdecode(call.target or b""),
        data=ctypes.string_at(call.data, call.size) if call.data else b"",
        size=call.size,
        offset=call.offset,
        flags=call.flags,
        creates=name == "open" and bool(call.flags & os.O_CREAT) and not os.path.lexists(path),
    )


@dataclass(slots=True, kw_only=True)
class Fault:
    """A hook that fails the call with a number, counted from 1, or this and those that follow if it `lasts`.

    Syncs that work are not made, since nothing here depends on them.
    """

    number: int
    errno: int
    lasts: bool
    seen: int = 0

    def __call__(self, call: Call) -> int:
        self.seen += 1
        is_due = self.seen == self.number or (self.lasts and 0 < self.number < self.seen)
        if is_due and self.concerns(call):
            return self.errno
        return DONE if call.name == "sync" else 0

    def concerns(self, call: Call) -> bool:
        """A full disk fails calls that need room. A lasting fault leaves locks alone, for which no disk is needed:
        SQLite would wait for each of them in real time.
        """
        return call.needs_room if self.errno == errno.ENOSPC else call.name != "lock" or not self.lasts

    def lift(self) -> None:
        self.number = 0


@dataclass(slots=True)
class Recorder:
    """A hook that notes all calls. Syncs are not made."""

    calls: list[Call] = field(default_factory=list)

    def __call__(self, call: Call) -> int:
        self.calls.append(call)
        return DONE if call.name == "sync" else 0
