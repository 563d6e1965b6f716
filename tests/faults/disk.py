"""A model of a folder on a disk whose power fails: what may be found there afterwards.

Until a file is synced, each 512-byte sector of each write and each truncation may be lost or kept, in any combination,
and a file that has grown may have zeros for what was lost. Until the folder is synced, each new, renamed or removed
name may be lost or kept, in any combination. Syncing a file does not sync its name. What was synced stays. File systems
with a journal lose less than that. A disk that lies about syncs loses more, and nothing helps against it.
"""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.faults.system_calls import Call

SECTOR = 512
Names: TypeAlias = Mapping[str, "File | None"]
"""What some paths name from now on; None for what is removed."""


@dataclass(frozen=True, slots=True)
class Write:
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    size: int


@dataclass(slots=True, eq=False)
class File:
    """The content that is on the disk, and the changes since the last sync."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.content, change)
        self.pending.clear()

    def after_power_loss(self, chance: random.Random, kept: float) -> bytes:
        """The content if each pending sector is kept with this probability."""
        content = bytearray(self.content)
        for change in self.pending:
            if isinstance(change, Truncate):
                if chance.random() < kept:
                    _apply(content, change)
                continue
            for start in range(0, len(change.data), SECTOR):
                if chance.random() < kept:
                    _apply(content, Write(change.offset + start, change.data[start : start + SECTOR]))
        longest = max((len(content), *(_end(change) for change in self.pending)))
        if chance.random() < kept:
            content.extend(bytes(longest - len(content)))
        return bytes(content)


@dataclass(slots=True)
class Disk:
    """The files of one folder, as the calls that `observe` gets leave them."""

    folder: str
    names: dict[str, File] = field(default_factory=dict)
    _synced: dict[str, File] = field(default_factory=dict)
    _pending: list[Names] = field(default_factory=list)

    def observe(self, call: Call) -> None:
        file = self.names.get(call.path)
        match call.name:
            case "open" if call.creates and file is None:
                self._name({call.path: File()})
            case "write" if file:
                file.pending.append(Write(call.offset, call.data))
            case "truncate" if file:
                file.pending.append(Truncate(call.size))
            case "sync" if file:
                file.sync()
            case "sync" if call.path == self.folder:
                self._synced = dict(self.names)
                self._pending.clear()
            case "unlink" if file:
                self._name({call.path: None})
            case "rename" if file:
                self._name({call.path: None, call.target: file})
            case "link" if file:
                self._name({call.target: file})

    def _name(self, changes: Names) -> None:
        self._pending.append(changes)
        _rename(self.names, changes)

    def write_image(self, folder: Path, chance: random.Random) -> None:
        """Write into a new folder what may be found after a power loss at this moment."""
        kept = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        names = dict(self._synced)
        for changes in self._pending:
            if chance.random() < kept:
                _rename(names, changes)
        contents: dict[int, bytes] = {}
        folder.mkdir()
        for path, file in names.items():
            content = contents.setdefault(id(file), file.after_power_loss(chance, kept))
            image = folder / os.path.relpath(path, self.folder)
            image.touch(0o600)
            image.write_bytes(content)


def _rename(names: dict[str, File], changes: Names) -> None:
    for path, file in changes.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data


def _end(change: Write | Truncate) -> int:
    return 0 if isinstance(change, Truncate) else change.offset + len(change.data)
