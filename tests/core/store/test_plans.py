import re
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import pytest
import sqlalchemy as sa

from core import accepting
from core.delivery import Claim
from core.messages import Message, Person, Reply, Source
from core.store import (
    Store,
    amendments,
    backlog,
    conversations,
    daily,
    dead_letters,
    directory,
    events,
    history,
    questions,
    records,
    retention,
    schema,
    turns,
)
from core.store.backlog import DEFAULT_SECONDS
from core.store.history import Keeping
from core.store.states import ANSWERED, WAITING
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import limits_with

P = ParamSpec("P")

PARTIAL = {"turns_dead", "turns_open", "turns_open_here", "turns_open_theirs", "turns_measured", "turns_quoting"}
"""Indexes of few turns, or read up to a limit: scanning one of them whole is no scan of the table."""
LEASE = Lease(owner="me", now=10.0, until=20.0)
KEEPING = Keeping(max_tokens=100, shared=False)
REPLY = Reply(text="hi", source=Source.MODEL, tokens=20)
ANN = Person(platform="test", workspace="w", id="ann")
LIMITS = limits_with(allow=frozenset({"test:*"}), max_queued=99, max_wait=1e9)


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """The plans are SQLite's."""
    return sqlite_store


def claimed(connection: sa.Connection, message: Message) -> Claim:
    accepting.accept(connection, message, LIMITS, 1.0)
    claim = turns.claim_waiting(connection, LEASE, ["test/w"])
    assert claim
    return claim


def delivered(connection: sa.Connection, message: Message) -> None:
    claim = claimed(connection, message)
    turns.finish(connection, claim, "me", REPLY, 11.0, KEEPING)
    turns.mark_delivered(connection, claim, "me")


def joined(connection: sa.Connection, message: Message) -> None:
    amendments.find_open(connection, message.sender, message.conversation, ["a"], 0.0)
    turns.stop(connection, message.conversation, 1, REPLY, 1.0)
    questions.ask_last_again(connection, message, 1)
    questions.others_wait(connection, message.conversation, 1, 0)


def delivered_late(connection: sa.Connection, _message: Message) -> None:
    turns.claim_answered(connection, LEASE, ["test/w"])
    turns.next_due(connection, ANSWERED, 1.0, ["test/w"])
    turns.has_unclaimed(connection, ["test/w"])
    turns.renew(connection, LEASE)
    turns.changed(connection, "me")
    turns.disown(connection, "test")
    turns.release_all_but(connection, {1}, "me")


def loaded(connection: sa.Connection, message: Message) -> None:
    history.load(connection, message.conversation, message.sender)
    history.load(connection, message.conversation, None)
    history.has_taken_part(connection, message.conversation)
    backlog.measure(connection, 1)
    backlog.measure(connection, 1, "shop")


def exported(connection: sa.Connection, _message: Message) -> None:
    records.export(connection, ANN, 5)
    records.export(connection, None, 5)
    backlog.queue(connection)


def overseen(connection: sa.Connection, message: Message) -> None:
    """What operators look at often."""
    backlog.under_way(connection)
    dead_letters.letters(connection)
    dead_letters.drop(connection, 1, 1.0)
    directory.find(connection, message.sender)
    conversations.said(connection, message.conversation)


def tallied(connection: sa.Connection, _message: Message) -> None:
    daily.count(connection, 0.0, 9.0)
    daily.tally(connection, 0.0, 9.0)


def purged(connection: sa.Connection, _message: Message) -> None:
    events.purge(connection, 1.0, 9)
    retention.purge_turns(connection, 1.0, 9)
    records.forget(connection, ANN, 0, limit=9)


def test_a_scan_is_recognised() -> None:
    """A plan that reads a table, or an index of all its rows, from the beginning is a scan."""
    assert is_scan("SCAN turns")
    assert is_scan("SCAN turns USING COVERING INDEX turns_person")
    assert not is_scan("SEARCH turns USING INDEX turns_person (person_id=?)")


@pytest.mark.parametrize(
    ("work", "index"),
    [
        (claimed, "turns_open_here"),
        (delivered, "turns_remembered"),
        (joined, "turns_open_theirs"),
        (delivered_late, "turns_open"),
        (loaded, "turns_measured"),
        (exported, "PRIMARY KEY"),
        (overseen, "turns_dead"),
        (tallied, "turns_accepted"),
        (purged, "turns_accepted"),
    ],
)
async def test_no_query_of_a_message_scans_a_table(
    store: Store, write: Write, work: Callable[[sa.Connection, Message], object], index: str
) -> None:
    """What is done for each message, and what deletes, uses its index and reads no table from beginning to end."""
    message = write("hello")
    await store.run(delivered, write("earlier"))
    seen: list[tuple[str, Any]] = []

    def explained(connection: sa.Connection) -> list[str]:
        sa.event.listen(
            connection, "before_cursor_execute", lambda _c, _u, text, values, *_: seen.append((text, values))
        )
        work(connection, message)
        plans = []
        for text, values in seen:
            if text.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
                plans += [f"{row[3]} for {text}" for row in rows]
        return plans

    plans = await store.run(explained)
    assert [plan for plan in plans if re.search(rf"{index}\b", plan)]
    assert [plan for plan in plans if is_scan(plan)] == []


def is_scan(plan: str) -> bool:
    if not re.match(r"SCAN (turns|events|people|votes|tombstones)\b", plan):
        return False
    index = re.search(r"USING (?:COVERING )?INDEX (\w+)", plan)
    return not index or index[1] not in PARTIAL


async def test_replies_without_a_duration_cost_admission_nothing(store: Store, write: Write) -> None:
    """A database of before has a million of them: the index from which the mean duration is read leaves them out."""
    for number in range(60):
        await store.run(delivered, write("hello", who=f"person {number}"))
    await store.run(lambda connection: connection.execute(sa.update(schema.turns).values(seconds=None)).rowcount)

    def measured(connection: sa.Connection) -> float:
        return backlog.measure(connection, 0).turn_seconds

    assert await store.run(measured) == DEFAULT_SECONDS
    assert await store.run(steps, measured) < 20


async def test_a_backlog_does_not_make_looks_cost_more(store: Store, write: Write) -> None:
    """The end of a turn, and the pause of what delivers, read none of the turns that wait beyond the first."""
    for number in range(60):
        await store.run(accepting.accept, write("hello", who=f"person {number}"), LIMITS, 1.0)
    assert await store.run(steps, turns.has_unclaimed, ["test/w"]) < 20
    assert await store.run(steps, turns.next_due, ANSWERED, 1.0, ["test/w"]) < 20
    assert await store.run(steps, turns.next_due, WAITING, 1.0, ["test/w"]) > 60


def steps(
    connection: sa.Connection, work: Callable[Concatenate[sa.Connection, P], object], *args: P.args, **kwargs: P.kwargs
) -> int:
    """Tens of steps that SQLite makes for some work."""
    made = 0

    def step() -> int:
        nonlocal made
        made += 1
        return 0

    raw: Any = connection.connection.driver_connection
    raw.set_progress_handler(step, 10)
    try:
        work(connection, *args, **kwargs)
    finally:
        raw.set_progress_handler(None, 0)
    return made
