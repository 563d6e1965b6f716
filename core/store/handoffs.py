"""The state machine of a hand-off: asked -> taken -> closed. One operator owns a hand-off that is taken."""

import re
from collections.abc import Sequence

import sqlalchemy as sa

from core.commands import SLASH
from core.messages import ANSWERS, Choice, ConversationKey, Finish, Message, Person
from core.store.schema import handoffs, people, turns, votes
from core.store.states import ANSWERED, DELIVERED

ASKED, TAKEN, CLOSED = "asked", "taken", "closed"
IS_OPEN = handoffs.c.state != sa.literal_column(f"'{CLOSED}'")
"""Spelled like the condition of the index `handoffs_open`."""
HANDLE_PARTS = re.compile(r"[:,]")
"""What stands between the ids in a handle."""


def add(
    connection: sa.Connection,
    person_id: int,
    message: Message,
    locale: str,
    desk: ConversationKey,
    *,
    now: float,
    due: float,
) -> sa.Row[tuple[object, ...]]:
    """Insert a hand-off of the conversation of a message, which is given back at `due` unless somebody acts."""
    values = {
        "person_id": person_id,
        "conversation": str(message.conversation),
        "kind": message.kind,
        "locale": locale,
        "desk": str(desk),
        "state": ASKED,
        "opened_at": now,
        "due_at": due,
    }
    key = connection.execute(handoffs.insert().values(values)).inserted_primary_key
    assert key is not None
    return connection.execute(_with_people().where(handoffs.c.id == key[0])).one()


def of_customer(
    connection: sa.Connection, person_id: int, conversation: ConversationKey
) -> sa.Row[tuple[object, ...]] | None:
    """The open hand-off of a person's conversation."""
    theirs = sa.and_(handoffs.c.person_id == person_id, handoffs.c.conversation == str(conversation))
    return connection.execute(_with_people().where(IS_OPEN, theirs)).one_or_none()


def find(connection: sa.Connection, handoff_id: int | None) -> sa.Row[tuple[object, ...]] | None:
    return connection.execute(_with_people().where(handoffs.c.id == handoff_id)).one_or_none()


def of_thread(connection: sa.Connection, desk: ConversationKey, thread: str) -> sa.Row[tuple[object, ...]] | None:
    """The hand-off with this thread of the desk, open or closed."""
    if not thread:
        return None
    here = sa.and_(handoffs.c.desk == str(desk), handoffs.c.thread == thread)
    return connection.execute(_with_people().where(here).order_by(handoffs.c.id.desc()).limit(1)).one_or_none()


def of_shown(connection: sa.Connection, desk: ConversationKey, reference: str) -> sa.Row[tuple[object, ...]] | None:
    """The open hand-off of a message that operators are shown at the desk, by the platform's id of that message."""
    here = sa.and_(handoffs.c.desk == str(desk), IS_OPEN, turns.c.at_desk)
    query = sa.select(turns.c.handoff_id, turns.c.handle).join(handoffs, handoffs.c.id == turns.c.handoff_id)
    rows = connection.execute(query.where(here)).all()
    found = next((row.handoff_id for row in rows if reference in HANDLE_PARTS.split(row.handle)), None)
    return find(connection, found)


def take(connection: sa.Connection, handoff_id: int, operator: Person, now: float, due: float) -> bool:
    """Make an operator the owner of a hand-off that has none. Returns False, and changes nothing, if it has one."""
    free = sa.and_(handoffs.c.id == handoff_id, handoffs.c.state == ASKED)
    values = {"state": TAKEN, "owner": str(operator), "taken_at": now, "due_at": due}
    return connection.execute(handoffs.update().where(free).values(values)).rowcount == 1


def close(connection: sa.Connection, handoff_id: int, ending: str, now: float) -> bool:
    """Close a hand-off. Returns False, and changes nothing, if it is closed."""
    open_ = handoffs.update().where(handoffs.c.id == handoff_id, IS_OPEN)
    return connection.execute(open_.values(state=CLOSED, ending=ending, closed_at=now)).rowcount == 1


def disown(connection: sa.Connection, operator: Person) -> None:
    """Forget who has owned the hand-offs of an operator that are closed."""
    theirs = sa.and_(handoffs.c.owner == str(operator), handoffs.c.state == CLOSED)
    connection.execute(handoffs.update().where(theirs).values(owner=""))


def put_off(connection: sa.Connection, handoff_id: int, due: float) -> None:
    """The owner has done something: the hand-off is given back later."""
    connection.execute(handoffs.update().where(handoffs.c.id == handoff_id).values(due_at=due))


def due(connection: sa.Connection, now: float) -> Sequence[sa.Row[tuple[object, ...]]]:
    """The open hand-offs that are to be given back."""
    return connection.execute(_with_people().where(IS_OPEN, handoffs.c.due_at <= now).order_by(handoffs.c.id)).all()


def set_thread(connection: sa.Connection, turn_id: int, owner: str, thread: str) -> bool:
    """Record the thread that was opened for a turn. Returns False if the lease was lost."""
    mine = sa.select(turns.c.handoff_id).where(turns.c.id == turn_id, turns.c.owner == owner).scalar_subquery()
    opened = handoffs.update().where(handoffs.c.id == mine).values(thread=thread)
    return connection.execute(opened).rowcount == 1


def drop(connection: sa.Connection, turn_id: int) -> None:
    """Close a turn that cannot be shown."""
    gone = {"state": DELIVERED, "owner": "", "lease_until": 0.0}
    connection.execute(turns.update().where(turns.c.id == turn_id).values(gone))


def drop_undelivered(connection: sa.Connection, handoff_id: int) -> None:
    """Close the turns that operators cannot be shown."""
    theirs = sa.and_(turns.c.handoff_id == handoff_id, turns.c.at_desk, turns.c.state == ANSWERED)
    connection.execute(turns.update().where(theirs).values(state=DELIVERED, owner="", lease_until=0.0))


def shown(connection: sa.Connection, handoff_id: int) -> Sequence[sa.Row[tuple[object, ...]]]:
    """The turns of a hand-off that operators are shown, or will be, and that are not leaving."""
    theirs = sa.and_(turns.c.handoff_id == handoff_id, turns.c.at_desk, sa.not_(turns.c.leaving))
    return connection.execute(sa.select(turns).where(theirs).order_by(turns.c.id)).all()


def of_person(connection: sa.Connection, person_id: int) -> Sequence[sa.Row[tuple[object, ...]]]:
    """All hand-offs of a person."""
    return connection.execute(_with_people().where(handoffs.c.person_id == person_id)).all()


def said(
    connection: sa.Connection, person_id: int, conversation: ConversationKey, since: float, limit: int
) -> Sequence[sa.Row[tuple[object, ...]]]:
    """The latest turns of a person in a conversation that were accepted `since` a time, oldest first, without commands
    and what was passed on.
    """
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == person_id)
    is_said = sa.and_(turns.c.handoff_id.is_(None), turns.c.text != "", ~turns.c.text.startswith(SLASH))
    query = (
        sa.select(turns)
        .where(theirs, is_said, ~turns.c.forgotten, turns.c.accepted_at >= since)
        .order_by(turns.c.id.desc())
    )
    return connection.execute(query.limit(limit)).all()[::-1]


def answers(
    connection: sa.Connection, person_id: int, conversation: ConversationKey, limit: int
) -> Sequence[sa.Row[tuple[object, ...]]]:
    """The latest answers to a person in a conversation, or apologies in their place, with the person's `vote`."""
    joined = turns.outerjoin(votes, sa.and_(votes.c.turn_id == turns.c.id, votes.c.person_id == person_id))
    is_answer = sa.or_(turns.c.source.in_(ANSWERS), turns.c.finish.in_([Finish.ERROR, Finish.TIMEOUT]))
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == person_id)
    query = sa.select(turns, votes.c.vote).select_from(joined).where(theirs, is_answer)
    return connection.execute(query.order_by(turns.c.id.desc()).limit(limit)).all()


def was_offered(connection: sa.Connection, person_id: int, conversation: ConversationKey, since: int) -> bool:
    """Whether a person was offered in a conversation after a turn."""
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == person_id, turns.c.id > since)
    query = sa.select(turns.c.id).where(theirs, turns.c.choices == (Choice.ASK,))
    return connection.execute(query.limit(1)).first() is not None


def is_last_offer(connection: sa.Connection, person_id: int, conversation: ConversationKey, before: int) -> bool:
    """Whether the last turn of a person in a conversation before another one offers a person."""
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == person_id, turns.c.id < before)
    query = sa.select(turns.c.choices).where(theirs).order_by(turns.c.id.desc()).limit(1)
    return connection.scalar(query) == (Choice.ASK,)


def last_reference(connection: sa.Connection, person_id: int, conversation: str) -> str:
    """The platform's id of a person's last message in a conversation; empty if an answer cannot refer to it."""
    theirs = sa.and_(turns.c.conversation == conversation, turns.c.person_id == person_id)
    is_message = sa.and_(turns.c.reference != "", ~turns.c.reference.startswith("http"))
    query = sa.select(turns.c.reference).where(theirs, is_message).order_by(turns.c.id.desc()).limit(1)
    return connection.scalar(query) or ""


def unanswered(connection: sa.Connection, person_id: int, conversation: str) -> Sequence[sa.Row[tuple[object, ...]]]:
    """A person's turns in a conversation that have no reply yet."""
    theirs = sa.and_(turns.c.conversation == conversation, turns.c.person_id == person_id)
    query = sa.select(turns).where(theirs, turns.c.reply.is_(None), turns.c.state != DELIVERED)
    return connection.execute(query.order_by(turns.c.id)).all()


def purge(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete some closed hand-offs of which no turn is left; their number."""
    has_turns = sa.exists().where(turns.c.handoff_id == handoffs.c.id)
    old = sa.select(handoffs.c.id).where(handoffs.c.state == CLOSED, handoffs.c.closed_at < before, ~has_turns)
    return connection.execute(handoffs.delete().where(handoffs.c.id.in_(old.limit(limit)))).rowcount


def _with_people() -> sa.Select[tuple[object, ...]]:
    """The hand-offs, each with the `person` who asked for it."""
    return sa.select(handoffs, people.c.key.label("person")).join(people, people.c.id == handoffs.c.person_id)
