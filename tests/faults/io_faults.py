"""Lives of a store during which a system call fails. Runs in a process whose calls are seen."""

import copy
import errno
import json
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import product
from pathlib import Path

from core.bulkhead import bulkhead
from core.errors import BackupRefused, StoreError, StoreUnusable
from core.store import checking
from core.text import digest
from tests.faults.life import CANARY, CHAPTERS, LIMITS, Life, Restart
from tests.faults.system_calls import Call, Fault, Recorder, watched

MENDED = {
    (0, "unlink parley.db-journal", 1),
    (1, "open parley.db", 1),
    (1, "stat parley.db", 21),
    (4, "read parley.db.restoring", 19),
    (4, "map parley.db-shm", 2),
    (4, "write parley.db.restoring", 13),
    (4, "lock parley.db", 4),
    (4, "read parley.db", 4),
}
"""Chapters and calls whose I/O error the store did not recover from once, or told as something else; and which of the
chapter's calls of the kind it was.
"""
MALFORMED = "database disk image is malformed"
PATIENCE = 3
"""Errors of a lasting fault before it passes, or before the gateway is restarted."""


class Lasting(StrEnum):
    """How long a fault lasts. It passes while the gateway runs, or while it is restarted."""

    ONCE = "once"
    A_WHILE = "a while"
    UNTIL_RESTART = "until restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The call with this number fails in a chapter of the life. `call` says what it does without a fault."""

    chapter: int
    number: int
    call: str
    errno: int
    lasting: Lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of a case. `problem` is empty if all that must hold does."""

    case: Case
    errors: list[str]
    problem: str


class NotRecovered(Exception):
    """An error although the fault has passed."""


class Misnamed(Exception):
    """An error that asks an operator to do something, although only the disk failed for a moment."""


@dataclass(slots=True, kw_only=True)
class Trouble:
    """Decides what a life does about its errors."""

    fault: Fault
    lasting: Lasting
    errors: list[str] = field(default_factory=list)

    def on_error(self, error: StoreError) -> None:
        self.errors.append(f"{type(error).__name__}: {error}")
        if isinstance(error, StoreUnusable) and not self._is_named(error):
            raise Misnamed(repr(error)) from error
        if len(self.errors) > (1 if self.lasting is Lasting.ONCE else PATIENCE):
            raise NotRecovered(repr(error)) from error
        if len(self.errors) == PATIENCE:
            if self.lasting is Lasting.UNTIL_RESTART:
                raise Restart
            self.fault.lift()

    def _is_named(self, error: StoreUnusable) -> bool:
        """Whether it tells of the fault all the same. SQLite itself calls it damage if a read fails (vdbe.c,
        SQLITE_IOERR_CORRUPTFS).
        """
        if isinstance(error, BackupRefused) and error.reason == os.strerror(self.fault.errno):
            return True
        return self.fault.errno == errno.EIO and MALFORMED in str(error)


async def judge(folder: Path, count: int, shard: int, shards: int) -> list[str]:
    """The findings about a share of `count` cases, or of all if it is 0, as JSON."""
    beginnings = await _beginnings(folder)
    chosen = _ordered(_cases(beginnings))[: count or None]
    found = [await _finding(case, beginnings[case.chapter], folder / "life") for case in chosen[shard::shards]]
    return [json.dumps(asdict(finding)) for finding in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The files and the life before a chapter, and the calls that are made in it."""

    files: Path
    life: Life
    calls: list[Call]


async def _beginnings(folder: Path) -> list[Beginning]:
    beginnings = []
    life = Life(folder=folder / "life", on_error=_raise)
    for number, chapter in enumerate(CHAPTERS):
        files = folder / f"before {number}"
        shutil.copytree(life.folder, files)
        before, recorder = copy.deepcopy(life), Recorder()
        with watched(life.folder, recorder):
            await life.live(chapter)
        beginnings.append(Beginning(files=files, life=before, calls=recorder.calls))
    return beginnings


def _cases(beginnings: list[Beginning]) -> list[Case]:
    return [
        Case(chapter=chapter, number=number, call=str(call), errno=code, lasting=lasting)
        for chapter, beginning in enumerate(beginnings)
        for code, lasting in product((errno.EIO, errno.ENOSPC), Lasting)
        for number, call in enumerate(beginning.calls, 1)
        if _fault(number, code, lasting).concerns(call)
    ]


def _fault(number: int, code: int, lasting: Lasting) -> Fault:
    return Fault(number=number, errno=code, lasts=lasting is not Lasting.ONCE)


def _ordered(cases: list[Case]) -> list[Case]:
    """All cases in a random order that is always the same, with the mended ones first."""
    shuffled = random.Random(0).sample(cases, len(cases))
    first = list(_mended(cases))
    return first + [case for case in shuffled if case not in first]


def _mended(cases: list[Case]) -> Iterator[Case]:
    seen: Counter[tuple[int, str]] = Counter()
    for case in cases:
        if case.errno == errno.EIO and case.lasting is Lasting.ONCE:
            kind = (case.chapter, case.call)
            seen[kind] += 1
            if (*kind, seen[kind]) in MENDED:
                yield case


def _lay_out(files: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(files, folder)


def _raise(error: StoreError) -> None:
    raise error


async def _finding(case: Case, beginning: Beginning, folder: Path) -> Finding:
    _lay_out(beginning.files, folder)
    fault = _fault(case.number, case.errno, case.lasting)
    trouble = Trouble(fault=fault, lasting=case.lasting)
    life = copy.deepcopy(beginning.life)
    life.on_error, life.on_restart = trouble.on_error, fault.lift
    problem = ""
    with watched(folder, fault), bulkhead() as outcome:
        await life.live(CHAPTERS[case.chapter])
        fault.lift()
        problem = "; ".join(_problems(life))
    return Finding(case=case, errors=trouble.errors, problem=outcome.fault or problem)


def _problems(life: Life) -> Iterator[str]:
    """What does not hold at the end of a life."""
    with closing(sqlite3.connect(life.database)) as connection:
        checking.judge(*connection.execute(checking.CHECK).fetchone())
        for (state,) in connection.execute("SELECT DISTINCT state FROM turns WHERE state <> 'delivered'"):
            yield f"a turn is still {state}"
        for key, message in life.acknowledged.items():
            if connection.execute("SELECT count(*) FROM events WHERE digest = ?", [digest(key)]).fetchone() != (1,):
                yield f"{key} was acknowledged and is not known"
            if message.sender.id != "ann" and len(message.text) <= LIMITS.max_bytes:
                found = connection.execute("SELECT count(*) FROM turns WHERE text = ?", [message.text]).fetchone()
                if found != (1,):
                    yield f"{key} was acknowledged and has {found} turns"
    if any(len(texts) > 1 for texts in life.shown.values()):
        yield "a turn has two answers"
    if "event 8" in life.acknowledged:
        files = (file for file in life.folder.iterdir() if file != life.backup)
        yield from (f"{file.name} has forgotten words" for file in files if CANARY.encode() in file.read_bytes())
