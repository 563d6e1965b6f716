"""A short life of a store: the verbs of a gateway, of its worker and of an operator, always in the same order."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

import sqlalchemy as sa

from core.admission import Admission
from core.clock import ManualClock
from core.delivery import Claim
from core.errors import StoreError
from core.messages import ConversationKey, Message, Person, Reply, Source
from core.store import Database, backups, installation, open_store, records, retention, schema, turns, votes
from core.store.history import Keeping
from core.store.translation import translated
from core.store.turns import Lease, Took
from tests.options import limits_with

P = ParamSpec("P")
R = TypeVar("R")
Step: TypeAlias = Callable[["Life"], Awaitable[None]]
Chapter: TypeAlias = tuple[Step, ...]

FRONTS = ("test/w",)
BACKUP = "backup.db"
CANARY = "canary"
"""A word that only a person says who is forgotten."""
FORGET = "/forget yes"
PAGES_PER_CHECKPOINT = 12
"""A short life would have no checkpoint at SQLite's 1,000 pages."""
LEASE = 10.0
LIMITS = limits_with(allow=frozenset({"test:*"}), max_bytes=5_000)
KEEPING = Keeping(max_tokens=99, shared=False)


class Restart(Exception):
    """The process ends here, and another one is started."""


class Workforce:
    """A worker that looks for turns by itself."""

    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


def nothing(*_: object) -> None:
    pass


async def unnoticed(_life: "Life") -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Life:
    """One database, the gateways that use it one after another, and what they have told people.

    `on_error` is called with each StoreError, and then the verb is tried again, as the worker and the platforms do;
    `on_restart` is called between two gateways if it raised Restart. `on_commit` is called after each verb that the
    store has confirmed. `configure` may switch a guard off.
    """

    folder: Path
    on_error: Callable[[StoreError], None]
    on_restart: Callable[[], None] = nothing
    on_commit: Callable[["Life"], Awaitable[None]] = unnoticed
    configure: Callable[[Database], None] = nothing
    clock: ManualClock = field(default_factory=ManualClock)
    acknowledged: dict[str, Message] = field(default_factory=dict)
    shown: dict[int, set[str]] = field(default_factory=dict)
    starts: int = 0
    holds_unknown: bool = False
    _store: Database | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def database(self) -> Path:
        return self.folder / "parley.db"

    @property
    def backup(self) -> Path:
        return self.folder / BACKUP

    @property
    def copies(self) -> list[Path]:
        """The backup, and the database that it has replaced."""
        return [file for file in self.folder.iterdir() if file.name == BACKUP or ".replaced-" in file.name]

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @property
    def store(self) -> Database:
        assert self._store is not None
        return self._store

    async def live(self, chapter: Chapter) -> None:
        """The steps of a chapter, from a start to an end of the gateway. A step that a restart ends is begun anew."""
        for step in (*chapter, Life.close):
            while True:
                try:
                    await self._take(step)
                    break
                except Restart:
                    await self.close()
                    self.on_restart()

    async def _take(self, step: Step) -> None:
        if self._store is None and step not in OFFLINE:
            await self.open()
        await step(self)

    async def open(self) -> None:
        self._store = await self._stored(
            lambda: self._stack.enter_async_context(open_store(f"sqlite:///{self.database}"))
        )
        await self._stored(lambda: self.store.call(self._checkpoint_often))
        self.configure(self.store)
        self.starts += 1
        await self.run(turns.disown, "test")

    async def close(self) -> None:
        self._store = None
        await self._stack.aclose()

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The verb's result, once the store has confirmed it."""
        result = await self._stored(lambda: self.store.run(verb, *args, **kwargs))
        await self.on_commit(self)
        return result

    async def ask(self, number: int, who: str, text: str) -> None:
        """A platform sends a message until it is acknowledged."""
        person = Person(platform="test", workspace="w", id=who)
        place = ConversationKey(platform="test", workspace="w", chat=who)
        key = f"event {number}"
        message = Message(event_keys=(key,), conversation=place, sender=person, text=text, sent_at=self.clock.now())
        admission = Admission(self.store, self.clock, LIMITS, Workforce())
        self.clock.advance(5)
        await self._stored(lambda: admission.accept(message))
        self.acknowledged[key] = message
        await self.on_commit(self)

    async def serve(self) -> None:
        """Answer and deliver all turns."""
        while claim := await self._claim():
            if not claim.handle:
                await self.run(turns.set_handle, claim, self.owner, f"bubble {claim.id}")
            reply = claim.reply or await self._reply(claim)
            if claim.reply is None:
                await self.run(
                    turns.finish, claim, self.owner, reply, self.clock.now(), KEEPING, took=Took(seconds=1.0)
                )
            self.shown.setdefault(claim.id, set()).add(reply.text)
            await self.run(turns.mark_delivered, claim, self.owner)

    async def vote(self) -> None:
        person = next(iter(self.acknowledged.values())).sender
        turn_id = await self._stored(lambda: self.store.read(_first_turn, person))
        await self.run(votes.cast, turn_id, person, 1, self.clock.now())

    async def purge(self) -> None:
        """Delete what is too old, which nothing is, and do what /ready does."""
        await self.run(retention.purge_turns, self.clock.epoch - 1, 200)
        await self.run(installation.touch, self.clock.now())

    async def back_up(self) -> None:
        def anew() -> None:
            self.backup.unlink(missing_ok=True)  # what an earlier try has left
            backups.back_up(self.database, self.backup)

        await self._offline(anew)

    async def restore(self) -> None:
        await self._offline(lambda: backups.restore(self.database, self.backup, f"{self.clock.now():.0f}"))

    @property
    def owner(self) -> str:
        return f"gateway {self.starts}"

    async def _claim(self) -> Claim | None:
        """The next turn, as the worker claims it: after an error it gives up what it does not know of."""
        now = self.clock.now()
        lease = Lease(owner=self.owner, now=now, until=now + LEASE)
        claim = await self.run(turns.claim_waiting, lease, FRONTS) or await self.run(
            turns.claim_answered, lease, FRONTS
        )
        if claim or not self.holds_unknown:
            return claim
        self.holds_unknown = False
        await self.run(turns.release_all_but, (), self.owner)
        return await self._claim()

    async def _reply(self, claim: Claim) -> Reply:
        if claim.message.text == FORGET:
            while await self.run(records.forget, claim.message.sender, claim.id, limit=2):
                continue
            await self._stored(self.store.scrub)
        return Reply(text=f"you said {claim.message.text}", source=Source.MODEL, tokens=40)

    async def _offline(self, work: Callable[[], object]) -> None:
        """What an operator does by a command of its own."""

        async def call() -> None:
            translated(work)

        await self._stored(call)
        await self.on_commit(self)

    async def _stored(self, call: Callable[[], Awaitable[R]]) -> R:
        """The call's result; `on_error` decides what follows an error."""
        while True:
            try:
                return await call()
            except StoreError as error:
                self.on_error(error)
                self.holds_unknown = True
                self.clock.advance(LEASE / 4)

    def _checkpoint_often(self) -> None:
        connection = self.store.transactions.engine.raw_connection()
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_PER_CHECKPOINT}").fetchall()
        connection.close()


def _first_turn(connection: sa.Connection, person: Person) -> int:
    return int(connection.scalar(sa.select(sa.func.min(schema.turns.c.id)).where(turns.asked_by(person))) or 0)


def digest(connection: sa.Connection) -> str:
    """A digest of everything that is stored, but for the key of a new database, which is random."""
    rows = []
    for table in schema.metadata.sorted_tables:
        columns = [column for column in table.columns if column.name != "key" or table.name != "installation"]
        query = sa.select(*(sa.cast(column, sa.LargeBinary) for column in columns)).order_by(*table.primary_key)
        rows.append((table.name, connection.execute(query).fetchall()))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def asking(number: int, who: str, text: str) -> Step:
    return lambda life: life.ask(number, who, text)


LONG = "tea and " * 600 + "tea"
FIRST_START: Chapter = (asking(1, "bob", "hello"), asking(2, "ann", f"{CANARY} one"), Life.serve)
CHAT: Chapter = (
    asking(3, "bob", LONG),
    asking(2, "ann", f"{CANARY} one"),  # a duplicate
    asking(4, "cid", LONG + LONG),  # too long
    Life.serve,
    Life.vote,
)
BACKING_UP: Chapter = (
    asking(5, "bob", "before the backup"),
    Life.serve,
    asking(6, "ann", f"{CANARY} two"),  # open in the backup
    Life.back_up,
    Life.serve,
)
FORGETTING: Chapter = (asking(7, "ann", f"{CANARY} three"), asking(8, "ann", FORGET), Life.serve, Life.purge)
RESTORING: Chapter = (Life.restore, asking(9, "bob", "still there?"), Life.serve, Life.purge)
CHAPTERS = (FIRST_START, CHAT, BACKING_UP, FORGETTING, RESTORING)
OFFLINE = (Life.close, Life.back_up, Life.restore)
"""Steps that need no running gateway."""
