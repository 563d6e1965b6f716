"""A life of a store, and what is left of it if the power fails. Runs in a process whose calls are seen."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from core.bulkhead import bulkhead
from core.errors import StoreError
from core.store import Database, installation, open_store
from tests.faults.disk import Disk
from tests.faults.life import BACKUP, CHAPTERS, Life, digest, nothing
from tests.faults.system_calls import Recorder, watched

NAMING = {"unlink", "rename", "link"}
SYNCHRONOUS = "synchronous"
"""The guard that can be switched off: each commit waits until it is on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The store held what `digest` says when it confirmed a verb, after `calls` calls."""

    calls: int
    digest: str


@dataclass(slots=True, kw_only=True)
class Recording(Recorder):
    """All calls of a life, its commits, and those after which there are copies: a backup, and the replaced database."""

    commits: list[Commit] = field(default_factory=list)
    copies: dict[str, Commit] = field(default_factory=dict)

    @property
    def moments(self) -> Sequence[int]:
        """All moments. Those after a change of names, which are few, come so often that they are a third."""
        named = [number for number, call in enumerate(self.calls, 1) if call.name in NAMING or call.creates]
        return [*range(len(self.calls) + 1), *named * (len(self.calls) // (2 * len(named)))]

    def is_restored(self, found: str, moment: int) -> bool:
        """Whether what is found is what the restore makes, which has begun before the moment."""
        done = max(copy.calls for copy in self.copies.values())
        before = max(commit.calls for commit in self.commits if commit.calls < done)
        return moment >= before and found == next(commit.digest for commit in self.commits if commit.calls == done)

    async def note(self, life: Life) -> None:
        """Note what a verb has stored; it is confirmed by now."""
        calls = len(self.calls)
        held = await life.store.read(digest) if life.is_open else digest_of(life.database)
        for copy in life.copies:
            self.copies.setdefault(copy.name, Commit(calls=calls, digest=self.commits[-1].digest))
        self.commits.append(Commit(calls=calls, digest=held))


def digest_of(database: Path) -> str:
    """The digest of what is in a file that no store has open."""
    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        found = digest(connection)
    engine.dispose()
    return found


async def judge(folder: Path, images: int, seed: int, without: str) -> list[str]:
    """How many images there were, and how many of them had each fault, as JSON. `without` switches the guard off."""
    recording = await _record(folder / "life", _sync_seldom if without == SYNCHRONOUS else nothing)
    return [json.dumps(await _count(recording, folder, images, random.Random(seed)))]


async def _record(folder: Path, configure: Callable[[Database], None]) -> Recording:
    recording = Recording()
    life = Life(folder=folder, on_error=_raise, on_commit=recording.note, configure=configure)
    with watched(folder, recording):
        for chapter in CHAPTERS:
            await life.live(chapter)
    return recording


async def _count(recording: Recording, folder: Path, images: int, chance: random.Random) -> Counter[str]:
    moments = sorted(chance.choices(recording.moments, k=images))
    disk, seen, counts = Disk(str(folder / "life")), 0, Counter[str]()
    for moment in moments:
        for call in recording.calls[seen:moment]:
            disk.observe(call)
        seen = moment
        image = folder / "image"
        disk.write_image(image, chance)
        counts["images"] += 1
        if fault := await _fault(image, recording, moment):
            counts[fault] += 1
        shutil.rmtree(image)
    return counts


async def _fault(image: Path, recording: Recording, moment: int) -> str:
    """What does not hold in an image; empty if it has all that was confirmed, and nothing by halves."""
    confirmed = sum(commit.calls <= moment for commit in recording.commits)
    held = [commit.digest for commit in recording.commits]
    with bulkhead() as outcome:
        async with open_store(f"sqlite:///{image}/parley.db") as store:
            found = await store.read(digest)
            await store.run(installation.touch, 1.0)
    if outcome.fault:
        return f"does not open: {outcome.fault}"
    if confirmed and found in held[: confirmed - 1] and found not in held[confirmed - 1 :]:
        return "lost"
    if confirmed and found not in held[confirmed - 1 : confirmed + 1]:
        return "neither before nor after"
    return _fault_of_copies(image, recording, moment, is_replaced=recording.is_restored(found, moment))


def _fault_of_copies(image: Path, recording: Recording, moment: int, *, is_replaced: bool) -> str:
    """The same for the backup, and for the database that a restore has replaced."""
    for name, made in recording.copies.items():
        if made.calls > moment and not (is_replaced and name != BACKUP):
            continue
        with bulkhead() as outcome:
            if digest_of(image / name) != made.digest:
                return f"{name} differs"
        if outcome.fault:
            return f"{name} is lost: {outcome.fault}"
    return ""


def _sync_seldom(store: Database) -> None:
    connection = store.transactions.engine.raw_connection()
    connection.execute("PRAGMA synchronous = NORMAL").fetchall()
    connection.close()


def _raise(error: StoreError) -> None:
    raise error
