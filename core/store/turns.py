"""A turn's life in the store: waiting -> running -> answered -> delivered. Each function is one atomic verb.

A running or delivering turn is leased to an owner, a gateway process. Whoever finishes a turn must still own it, so a
gateway that was presumed dead cannot answer a second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from core.delivery import Claim
from core.messages import ConversationKey, Finish, Kind, Label, Locale, Message, Mood, Person, Reply, Source, Usage
from core.store import history
from core.store.people import set_served
from core.store.schema import people, turns

WAITING, RUNNING, ANSWERED, DELIVERED = "waiting", "running", "answered", "delivered"
IS_OPEN = turns.c.state != sa.literal_column(f"'{DELIVERED}'")
"""In the words of the index over the few turns that are open: without it SQLite reads all that ever were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who claims, and until when."""

    owner: str
    now: float
    until: float


def add(
    connection: sa.Connection,
    person_id: int,
    message: Message,
    locale: Locale,
    now: float,
    reply: Reply | None = None,
) -> int:
    """Insert a message as a waiting turn, or with its `reply` as an answered one; the turn's id.

    `locale` is the language of the bot's own words about this turn.
    """
    values = {
        "person_id": person_id,
        "front": message.conversation.front,
        "conversation": str(message.conversation),
        "kind": message.kind,
        "text": message.text,
        "locale": locale,
        "sent_at": message.sent_at,
        "reference": message.reference,
        "context": message.context,
        "state": WAITING if reply is None else ANSWERED,
        "accepted_at": now,
    }
    if reply is not None:
        values |= _reply_values(reply, now)
    key = connection.execute(turns.insert().values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def claim_waiting(connection: sa.Connection, lease: Lease, fronts: Sequence[str]) -> Claim | None:
    """The next turn to answer: of the person served longest ago, the oldest whose conversation has nothing open before.

    A running turn whose lease has expired counts as waiting: its owner died. It may be what its owner died of, so it
    goes first and runs alone: whoever would run beside it would be suspected next.
    """
    running, most_attempts = _running(connection, lease.owner)
    if most_attempts > 1:
        return None
    earlier = turns.alias()
    blocked = sa.exists().where(
        earlier.c.conversation == turns.c.conversation,
        earlier.c.id < turns.c.id,
        earlier.c.state.in_([WAITING, RUNNING, ANSWERED]),
        sa.or_(earlier.c.source.is_(None), earlier.c.source != Source.REFUSAL),
    )
    query = (
        _open(fronts)
        .where(sa.or_(_free(WAITING, lease), _abandoned(RUNNING, lease)), ~blocked)
        .order_by(turns.c.attempts == 0, people.c.served, turns.c.id)
    )
    row = connection.execute(query.limit(1)).one_or_none()
    if row is None or (row.attempts and running):
        return None
    set_served(connection, row.person_id)
    changes = {"state": RUNNING, "attempts": row.attempts + 1, "claimed_at": lease.now}
    _take(connection, row.id, lease, changes)
    return _claim(row, attempt=row.attempts + 1)


def claim_answered(connection: sa.Connection, lease: Lease, fronts: Sequence[str]) -> Claim | None:
    """The oldest turn whose reply is written but not delivered, and that nobody delivers now."""
    query = _open(fronts).where(sa.or_(_free(ANSWERED, lease), _abandoned(ANSWERED, lease))).order_by(turns.c.id)
    row = connection.execute(query.limit(1)).one_or_none()
    if row is None:
        return None
    _take(connection, row.id, lease, {})
    return _claim(row, attempt=row.attempts)


def set_handle(connection: sa.Connection, claim: Claim, owner: str, handle: str) -> bool:
    """Note the placeholder shown for a turn; False if the turn is not ours any more."""
    return _update_owned(connection, claim, owner, {"handle": handle})


def finish(
    connection: sa.Connection, claim: Claim, owner: str, reply: Reply, now: float, keeping: history.Keeping
) -> bool:
    """Record a turn's reply and remember the exchange; False, and nothing changed, if the turn is not ours any more.

    The history it joins is kept within its bounds.
    """
    values = _reply_values(reply, now) | {"state": ANSWERED, "tokens": reply.tokens, "remembered": reply.tokens > 0}
    if not _update_owned(connection, claim, owner, values):
        return False
    if reply.tokens:
        person = None if keeping.shared else claim.message.sender
        history.trim(connection, claim.message.conversation, person, keeping.max_tokens)
    return True


def mark_delivered(connection: sa.Connection, claim: Claim, owner: str) -> bool:
    """Close a turn: its reply is where the person sees it."""
    return _update_owned(connection, claim, owner, {"state": DELIVERED, "owner": "", "lease_until": 0.0})


def release(connection: sa.Connection, claim: Claim, owner: str, until: float = 0.0) -> None:
    """Give a turn back without counting the attempt, not to be taken again before `until`."""
    mine = turns.update().where(turns.c.id == claim.id, turns.c.owner == owner)
    connection.execute(mine.where(turns.c.state == RUNNING).values(state=WAITING, attempts=turns.c.attempts - 1))
    connection.execute(mine.values(owner="", lease_until=until))


def stop(
    connection: sa.Connection, conversation: ConversationKey, person_id: int, reply: Reply, now: float
) -> tuple[tuple[int, ...], int]:
    """End a person's waiting turns in a conversation with `reply`; the ids of those that run, and how many waited."""
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == person_id)
    running = connection.scalars(sa.select(turns.c.id).where(theirs, turns.c.state == RUNNING)).all()
    waiting = turns.update().where(theirs, turns.c.state == WAITING)
    ended = connection.execute(waiting.values(_reply_values(reply, now) | {"state": ANSWERED})).rowcount
    return tuple(running), ended


def move(connection: sa.Connection, old: ConversationKey, new: ConversationKey) -> None:
    """A conversation goes on under another key, with all that was said in it. What its messages were called before
    means nothing there.
    """
    theirs = turns.update().where(turns.c.conversation == str(old))
    connection.execute(theirs.values(conversation=str(new), front=new.front, reference=""))


def renew(connection: sa.Connection, lease: Lease) -> None:
    """Keep all turns of an owner that is alive."""
    mine = turns.update().where(IS_OPEN, turns.c.owner == lease.owner, turns.c.state.in_([RUNNING, ANSWERED]))
    connection.execute(mine.values(lease_until=lease.until))


def disown(connection: sa.Connection, platform: str) -> None:
    """End the leases on all turns of a platform, or of one front end: their owners are known to be dead."""
    served = sa.or_(turns.c.front == platform, turns.c.front.startswith(f"{platform}/", autoescape=True))
    leased = turns.update().where(IS_OPEN, served, turns.c.owner != "")
    connection.execute(leased.values(lease_until=0.0))


def _running(connection: sa.Connection, owner: str) -> tuple[int, int]:
    """How many turns an owner runs, and the most attempts that one of them took."""
    mine = sa.and_(IS_OPEN, turns.c.owner == owner, turns.c.state == RUNNING)
    most = sa.func.coalesce(sa.func.max(turns.c.attempts), 0)
    running, attempts = connection.execute(sa.select(sa.func.count(), most).where(mine)).one()
    return running, attempts


def _open(fronts: Sequence[str]) -> sa.Select[tuple[object, ...]]:
    joined = turns.join(people, people.c.id == turns.c.person_id)
    return sa.select(turns, people.c.key.label("person")).select_from(joined).where(IS_OPEN, turns.c.front.in_(fronts))


def _abandoned(state: str, lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(turns.c.state == state, turns.c.lease_until < lease.now, turns.c.owner.not_in(["", lease.owner]))


def _free(state: str, lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(turns.c.state == state, turns.c.owner == "", turns.c.lease_until <= lease.now)


def _take(connection: sa.Connection, turn_id: int, lease: Lease, changes: dict[str, object]) -> None:
    values = {"owner": lease.owner, "lease_until": lease.until} | changes
    connection.execute(turns.update().where(turns.c.id == turn_id).values(values))


def _update_owned(connection: sa.Connection, claim: Claim, owner: str, values: dict[str, object]) -> bool:
    mine = turns.update().where(turns.c.id == claim.id, turns.c.owner == owner)
    return connection.execute(mine.values(values)).rowcount == 1


def _reply_values(reply: Reply, now: float) -> dict[str, object]:
    return {
        "reply": reply.text,
        "source": reply.source,
        "finish": reply.finish,
        "error": reply.error,
        "mood_label": reply.mood.label if reply.mood else None,
        "mood_confidence": reply.mood.confidence if reply.mood else None,
        "show_mood": reply.show_mood,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "cached_tokens": reply.usage.cached_tokens,
        "finished_at": now,
    }


def _claim(row: sa.Row[tuple[object, ...]], attempt: int) -> Claim:
    message = Message(
        event_keys=(),
        conversation=ConversationKey.parse(row.conversation),
        sender=Person.parse(row.person),
        text=row.text,
        sent_at=row.sent_at,
        kind=Kind(row.kind),
        reference=row.reference,
        context=row.context,
    )
    reply = None if row.reply is None else _reply(row)
    return Claim(
        id=row.id,
        attempt=attempt,
        message=message,
        locale=cast("Locale", row.locale),
        handle=row.handle,
        reply=reply,
    )


def _reply(row: sa.Row[tuple[object, ...]]) -> Reply:
    mood = Mood(label=Label(row.mood_label), confidence=row.mood_confidence) if row.mood_label else None
    usage = Usage(
        prompt_tokens=row.prompt_tokens, completion_tokens=row.completion_tokens, cached_tokens=row.cached_tokens
    )
    return Reply(
        text=row.reply,
        source=Source(row.source),
        finish=Finish(row.finish),
        usage=usage,
        tokens=row.tokens,
        mood=mood,
        show_mood=row.show_mood,
        error=row.error,
    )
