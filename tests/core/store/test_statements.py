"""A message builds no statements: SQLAlchemy takes longer to build one than the database to run it."""

import sqlalchemy as sa

from core import accepting
from core.limits import may_write
from core.messages import Message, Reply, Source
from core.store import Store, history, people, turns
from core.store.history import Keeping
from core.store.states import WAITING
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import limits_with

LIMITS = limits_with(allow=frozenset({"test:*"}))
LEASE = Lease(owner="me", now=10.0, until=20.0)
KEEPING = Keeping(max_tokens=100, shared=False)
REPLY = Reply(text="hi", source=Source.MODEL, tokens=20)


def pass_through(connection: sa.Connection, message: Message) -> list[sa.Executable]:
    """The statements of a message, from its acceptance to its delivery."""
    made: list[sa.Executable] = []

    def note(_connection: sa.Connection, statement: sa.Executable, *_: object) -> None:
        made.append(statement)

    sa.event.listen(connection, "before_execute", note)
    may_write(connection, message.sender, message.conversation, LIMITS)
    accepting.accept(connection, message, LIMITS, 1.0)
    claim = turns.claim_waiting(connection, LEASE, ["test/w"])
    assert claim
    people.find_or_add(connection, message.sender)
    history.load(connection, message.conversation, message.sender, before=claim.id)
    turns.set_handle(connection, claim, "me", "handle")
    turns.finish(connection, claim, "me", REPLY, 11.0, KEEPING)
    turns.changed(connection, "me")
    turns.mark_delivered(connection, claim, "me")
    turns.next_due(connection, WAITING, 11.0, ["test/w"])
    turns.has_unclaimed(connection, ["test/w"])
    sa.event.remove(connection, "before_execute", note)
    return made


async def test_a_message_builds_no_statement(store: Store, write: Write) -> None:
    """A person's second message is accepted, answered and delivered with the very statements of the first."""
    first = {id(statement): statement for statement in await store.run(pass_through, write("hello"))}
    second = await store.run(pass_through, write("hello again"))
    assert len(second) > 20
    assert [str(statement) for statement in second if id(statement) not in first] == []
