"""The store at its size after years: `python -m benchmarks.store`.

It is an SQLite file, or a PostgreSQL database that `--url` names. It has a million turns of ten thousand people, a
hundred thousand of them in one conversation. Each figure is one transaction with its commit, for a person of that
conversation.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from tempfile import TemporaryDirectory
from typing import Annotated

import sqlalchemy as sa
import typer

from benchmarks.machine import describe_machine
from core.admission import Admission
from core.clock import SystemClock
from core.messages import ConversationKey, Message, Person, Reply, Source
from core.side_by_side import SIDE_BY_SIDE
from core.store import (
    Database,
    backlog,
    conversations,
    daily,
    directory,
    history,
    open_store,
    records,
    retention,
    turns,
)
from core.store.history import Keeping
from core.store.schema import TURN_IDS, people
from core.store.schema import turns as table
from core.store.turns import Lease
from tests.options import limits_with

PEOPLE = 10_000
IN_ONE = 10
"""One turn in so many is in the busy conversation."""
BATCH = 10_000
KEPT = 20
"""Turns in the history of a conversation."""
BUSY = Person(platform="test", workspace="w", id="0")
ROOM = ConversationKey(platform="test", workspace="w", chat="room")
WORDS = "what do you think of the weather today, and what will it be tomorrow? " * 3


class Quiet:
    """Nobody works here."""

    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


def main(
    size: Annotated[int, typer.Option("--turns", help="Turns in the store.")] = 1_000_000,
    runs: int = 100,
    url: Annotated[str, typer.Option(help="An empty PostgreSQL database to fill, instead of a file.")] = "",
) -> None:
    """Fill a store, and print the median and the 99th percentile of what is done for each message."""
    with TemporaryDirectory() as folder:
        asyncio.run(_measure(url or f"sqlite:///{folder}/parley.db", size, runs))


async def _measure(url: str, size: int, runs: int) -> None:
    print(describe_machine())
    async with open_store(url, beside=SIDE_BY_SIDE) as store:
        await store.run(_add_people)
        for first in range(1, size + 1, BATCH):
            await store.run(_add_turns, first, min(BATCH, size + 1 - first), size)
        await store.run(_settle, size)
        print(f"{size:,} turns")
        print("| transaction | computing, p50 ms | with the disk, p50 ms | p99 ms |\n|---|---|---|---|")
        for name, work in _works(store).items():
            print(f"| {name} | " + " | ".join(f"{ms:.2f}" for ms in await _percentiles(work, runs)) + " |")


def _works(store: Database) -> dict[str, Callable[[], Awaitable[object]]]:
    """What is measured. An admitted message is claimed, answered and delivered by the works after it."""
    clock, numbers = SystemClock(), count(1)
    limits = limits_with(allow=frozenset({"test:*"}), per_minute=1e9, burst=10**9, max_queued=10**9, max_wait=1e9)
    admission = Admission(store, clock, limits, Quiet())
    claims = []

    async def admit() -> None:
        number = next(numbers)
        await admission.accept(
            Message(
                event_keys=(f"a{number}", f"b{number}"),
                conversation=ROOM,
                sender=BUSY,
                text="hello there",
                sent_at=clock.now(),
            )
        )

    async def claim() -> None:
        lease = Lease(owner="me", now=clock.now(), until=clock.now() + 60)
        claim = await store.run(turns.claim_waiting, lease, ("test/w",))
        assert claim
        claims.append(claim)
        reply = Reply(text="hi", source=Source.MODEL, tokens=20)
        await store.run(turns.finish, claim, "me", reply, clock.now(), Keeping(max_tokens=1024, shared=False))
        await store.run(turns.mark_delivered, claim, "me")

    return {
        "admission": admit,
        "claim, finish and delivered (three transactions)": claim,
        "history": lambda: store.run(history.load, ROOM, BUSY),
        "export, one page of a person": lambda: store.read(records.export, BUSY, 0),
        "export, one page of everybody": lambda: store.read(records.export, None, 500_000),
        "figures of 4,000 turns": lambda: store.read(daily.tally, 500_000.0, 504_000.0),
        "retention, one step of 200": lambda: store.run(retention.purge_turns, 2e9, 200),
        "operator: open turns": lambda: store.read(backlog.under_way),
        "operator: a page of people": lambda: store.read(directory.page),
        "operator: people of a name": lambda: store.read(directory.page, "test:123"),
        "operator: a page of conversations": lambda: store.read(conversations.page),
        "operator: a part of the busy conversation": lambda: store.read(conversations.said, ROOM),
        "forget, one step of 200": lambda: store.run(records.forget, BUSY, 0, limit=200),
    }


async def _percentiles(work: Callable[[], Awaitable[object]], runs: int) -> tuple[float, float, float]:
    """Milliseconds: the median of the processor's time, which waits for no disk, and two percentiles of all."""
    computed, taken = [], []
    for _ in range(runs):
        begun, computing = time.perf_counter(), time.process_time()
        await work()
        taken.append((time.perf_counter() - begun) * 1000)
        computed.append((time.process_time() - computing) * 1000)
    return sorted(computed)[runs // 2], sorted(taken)[runs // 2], sorted(taken)[int(runs * 0.99)]


def _add_people(connection: sa.Connection) -> None:
    connection.execute(
        people.insert(),
        [{"key": str(Person(platform="test", workspace="w", id=str(number)))} for number in range(PEOPLE)],
    )


def _add_turns(connection: sa.Connection, first: int, many: int, size: int) -> None:
    connection.execute(table.insert(), [_turn(number, size) for number in range(first, first + many)])


def _settle(connection: sa.Connection, size: int) -> None:
    """The rows have their ids from here, and PostgreSQL has not counted them yet."""
    if connection.dialect.supports_sequences:
        connection.execute(sa.select(sa.func.setval(TURN_IDS.name, size)))
        connection.exec_driver_sql("ANALYZE")


def _turn(number: int, size: int) -> dict[str, object]:
    is_busy = number % IN_ONE == 0
    person = 1 if is_busy else 2 + number % (PEOPLE - 1)
    chat = ROOM if is_busy else ConversationKey(platform="test", workspace="w", chat=str(person))
    return {
        "id": number,
        "person_id": person,
        "front": "test/w",
        "conversation": str(chat),
        "kind": "private",
        "text": WORDS,
        "reply": WORDS,
        "source": "model",
        "state": "delivered",
        "sent_at": float(number),
        "accepted_at": float(number),
        "claimed_at": float(number),
        "finished_at": number + 1.0,
        "tokens": 20,
        "remembered": number > size - KEPT * IN_ONE,
    }


if __name__ == "__main__":
    typer.run(main)
