"""The state machine of a turn: waiting -> running -> answered -> delivered. Each public function is one atomic verb.

A turn that is given up on is dead, until `dead_letters.retry` opens it again.

A turn that is being answered or delivered is leased to an owner: a gateway process. A verb that changes its state
requires that the caller still owns the lease, so that a gateway whose lease expired cannot answer a second time.

Times come from a clock that may be set. If a turn was leased or accepted in the future, by more than `claimable.AHEAD`,
the clock was set back since, and how long the turn is leased or put off means nothing any more: it is due.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import sqlalchemy as sa
import structlog

from core.bulkhead import described
from core.delivery import Claim
from core.errors import MessageChanged
from core.gathering import piece_of
from core.i18n import say
from core.messages import (
    WITHDRAWN,
    ConversationKey,
    Finish,
    Kind,
    Label,
    Locale,
    Message,
    Mood,
    Person,
    Reply,
    Source,
    Usage,
)
from core.store import farewells, history, installation, removal, stale_scopes
from core.store.claimable import HAS_UNCLAIMED, NEXT_ANSWERED, NEXT_DUE, NEXT_WAITING, RUNNING_NOW
from core.store.notices import Notice, Topic, send, tell_watchers
from core.store.people import id_of, set_served
from core.store.portable import Unindexed
from core.store.schema import handoffs, people, turns
from core.store.states import ANSWERED, DEAD, DELIVERED, IS_OPEN, RUNNING, WAITING

log = structlog.get_logger()

UNREADABLE = (ValueError, TypeError, AttributeError, KeyError)
"""What values of another kind than the schema's raise when they are read."""
NO_TEXT = "Could not decode to UTF-8"
"""SQLite's error for a text that is none."""
QUOTES = turns.c.quotes != sa.literal_column("'[]'")
"""Spelled like the condition of the index `turns_quoting`."""
TURN, OWNER = sa.bindparam("turn", type_=sa.Integer), sa.bindparam("me", type_=sa.Text)
INSERTED, OF_TURN = turns.insert(), turns.update().where(turns.c.id == TURN)
IS_MINE = sa.and_(turns.c.id == TURN, turns.c.owner == OWNER)
OWNED, IS_CHANGED = turns.update().where(IS_MINE), sa.select(turns.c.changed).where(IS_MINE)
IN_VAIN = sa.select(turns.c.id).where(
    IS_OPEN, turns.c.owner == OWNER, turns.c.state == RUNNING, sa.or_(turns.c.changed, turns.c.stopped)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The owner that claims, and how long the lease holds. Times are UTC epoch seconds."""

    owner: str
    now: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """How long a reply took: the whole of it, and its first words, which came before the whole. Both are None if that
    was not measured; `first_piece` is None also if there was no preview of the reply.
    """

    seconds: float | None = None
    first_piece: float | None = None


UNTIMED = Took()


def add(  # noqa: PLR0913  a turn has these
    connection: sa.Connection,
    person_id: int,
    message: Message,
    locale: Locale,
    now: float,
    reply: Reply | None = None,
    *,
    not_before: float = 0.0,
    handoff_id: int | None = None,
    desk_front: str = "",
) -> int:
    """Insert a message as a waiting turn, or as an answered one if it has a `reply`. Returns the turn's id.

    `locale` is the language of the bot's own words for this turn. It is not claimed `not_before` a time. A turn of a
    hand-off with a `desk_front`, which serves the operators, is shown to them instead of in its conversation.
    """
    values = {
        "id": installation.next_turn(connection, str(message.conversation)),
        "person_id": person_id,
        "front": desk_front or message.conversation.front,
        "conversation": str(message.conversation),
        "kind": message.kind,
        "text": message.text,
        "locale": locale,
        "sent_at": message.sent_at,
        "reference": message.reference,
        "quotes": message.quotes,
        "media": message.media,
        "again": message.again,
        "pieces": (piece_of(message),) if message.edited_at else (),
        "opens": message.ties.opens,
        "not_before": not_before,
        "state": WAITING if reply is None else ANSWERED,
        "accepted_at": now,
        "handoff_id": handoff_id,
        "at_desk": desk_front != "",
    }
    if reply is not None:
        values |= reply_values(reply, now) | {"tokens": reply.tokens, "remembered": reply.tokens > 0}
    if handoff_id is not None:  # perhaps for a front end of another gateway
        send(connection, Notice(topic=Topic.WORK))
    key = connection.execute(INSERTED, values).inserted_primary_key
    assert key is not None
    return int(key[0])


def claim_waiting(connection: sa.Connection, lease: Lease, fronts: Sequence[str]) -> Claim | None:
    """Lease the next turn to answer; None if there is none.

    People are served in round robin, and the turns of a conversation in order. A running turn with an expired lease was
    interrupted by a crash, which it may have caused: it goes first and runs alone, so that a second crash does not
    count against other turns.
    """
    running, most_attempts = connection.execute(RUNNING_NOW, {"owner": lease.owner}).one()
    if most_attempts > 1:
        return None
    while row := connection.execute(NEXT_WAITING, _asking(lease, fronts)).one_or_none():
        if row.attempts and running:
            return None
        set_served(connection, row.person_id)
        changes = {
            "changed": False,
            "stopped": False,
            "state": RUNNING,
            "attempts": row.attempts + 1,
            "claimed_at": lease.now,
        }
        _take_lease(connection, row.id, lease, changes)
        if claim := _read(connection, row.id, lease.owner):
            tell_watchers(connection, claim.id, claim.message.conversation, lease.owner)
            return claim
    return None


def claim_answered(connection: sa.Connection, lease: Lease, fronts: Sequence[str]) -> Claim | None:
    """Lease the oldest turn that is answered but not delivered; None if there is none.

    What is passed on in a hand-off keeps its order.
    """
    while row := connection.execute(NEXT_ANSWERED, _asking(lease, fronts)).one_or_none():
        _take_lease(connection, row.id, lease, {})
        if claim := _read(connection, row.id, lease.owner):
            tell_watchers(connection, claim.id, claim.message.conversation, lease.owner)
            return claim
    return None


def set_handle(connection: sa.Connection, claim: Claim, owner: str, handle: str) -> bool:
    """Record the messages that show a turn. Returns False if the lease was lost."""
    return _update_owned(connection, claim, owner, {"handle": handle})


def finish(
    connection: sa.Connection,
    claim: Claim,
    owner: str,
    reply: Reply,
    now: float,
    keeping: history.Keeping,
    *,
    took: Took = UNTIMED,
) -> bool:
    """Record a turn's reply and add the exchange to the history, which is trimmed to its size.

    The answer to a question asked again replaces the earlier one. Returns False, and changes nothing, if the lease was
    lost. Raises MessageChanged if the reply is to another message.
    """
    _check_unchanged(connection, claim, owner)
    values = reply_values(reply, now) | {"state": ANSWERED, "tokens": reply.tokens, "remembered": reply.tokens > 0}
    values |= {"seconds": took.seconds, "first_piece": took.first_piece}
    if not _update_owned(connection, claim, owner, values):
        return False
    if reply.tokens:
        history.supersede(connection, claim.message.conversation, claim.id)
        person = None if keeping.shared else claim.message.sender
        history.trim(connection, claim.message.conversation, person, keeping.max_tokens)
    tell_watchers(connection, claim.id, claim.message.conversation, owner)
    return True


def mark_delivered(connection: sa.Connection, claim: Claim, owner: str) -> bool:
    """Close a turn whose reply the platform has accepted. Returns False if the lease was lost.

    The last words to a person who is being forgotten are deleted. Raises MessageChanged if the reply is to another
    message.
    """
    _check_unchanged(connection, claim, owner)
    if not _update_owned(connection, claim, owner, {"state": DELIVERED, "owner": "", "lease_until": 0.0}):
        return False
    farewells.leave(connection, claim.id)
    return True


def remove(connection: sa.Connection, claim: Claim, owner: str) -> bool:
    """Delete a withdrawn turn of which nothing is shown any more, and its person with the last turn of one who is being
    forgotten. Returns False if the lease was lost.
    """
    mine = sa.and_(turns.c.id == claim.id, turns.c.owner == owner)
    person_id = connection.scalar(sa.select(turns.c.person_id).where(mine, turns.c.leaving))
    is_removed = removal.remove_turns(connection, mine) == 1
    if person_id is not None:
        farewells.remove_person(connection, person_id)
    return is_removed


def end_in_apology(connection: sa.Connection, claim: Claim, owner: str, apology: Reply, now: float) -> bool:
    """Close a turn of which the platform has accepted an apology, in place of a reply or of one that nobody has seen.

    Returns False if the lease was lost. Raises MessageChanged if the apology is for another message.
    """
    _check_unchanged(connection, claim, owner)
    closed = {"state": DELIVERED, "owner": "", "lease_until": 0.0, "tokens": 0, "remembered": False}
    tell_watchers(connection, claim.id, claim.message.conversation, owner)
    return _update_owned(connection, claim, owner, reply_values(apology, now) | closed)


def fail(connection: sa.Connection, claim: Claim, owner: str, until: float, *, fault: str) -> None:
    """Give the lease of a turn up after a try that failed unexpectedly with a `fault`, which `bulkhead.described` has
    put into words. It is not claimed again before `until`.
    """
    connection.execute(OWNED.values(faults=turns.c.faults + 1, fault=fault), {"turn": claim.id, "me": owner})
    release(connection, claim, owner, until)


def bury(connection: sa.Connection, claim: Claim, owner: str, *, fault: str) -> None:
    """Make a turn a dead letter because of a `fault`. Its message and its reply, if it has one, are kept."""
    _bury(connection, claim.id, owner, fault)


def release(connection: sa.Connection, claim: Claim, owner: str, until: float = 0.0) -> None:
    """Give the lease up without counting the attempt. The turn is not claimed again before `until`; other gateways
    look for it at once if that is 0.
    """
    if not until:
        send(connection, Notice(topic=Topic.WORK))
    mine = turns.update().where(turns.c.id == claim.id, turns.c.owner == owner)
    connection.execute(mine.where(turns.c.state == RUNNING).values(state=WAITING, attempts=turns.c.attempts - 1))
    connection.execute(mine.values(owner="", lease_until=until))


def release_all_but(connection: sa.Connection, held: Collection[int], owner: str) -> None:
    """Give up the leases of an owner's turns that it does not hold, without counting the attempt: if the disk fails, a
    claim may be committed of which the owner was not told.
    """
    unknown = turns.update().where(IS_OPEN, turns.c.owner == owner, turns.c.id.not_in(held))
    connection.execute(unknown.where(turns.c.state == RUNNING).values(state=WAITING, attempts=turns.c.attempts - 1))
    connection.execute(unknown.values(owner="", lease_until=0.0))


def reopen(connection: sa.Connection, claim: Claim, owner: str) -> None:
    """Give the lease of a turn up whose message has changed, without counting the attempt. It is answered again, or
    delivered if the change came with a reply.
    """
    mine = turns.update().where(turns.c.id == claim.id, turns.c.owner == owner)
    connection.execute(mine.where(turns.c.reply.is_(None)).values(state=WAITING, attempts=turns.c.attempts - 1))
    connection.execute(mine.where(turns.c.reply.is_not(None)).values(state=ANSWERED))
    connection.execute(mine.values(owner="", lease_until=0.0, changed=False))


def next_due(connection: sa.Connection, state: str, now: float, fronts: Sequence[str]) -> float | None:
    """When the next of the turns in a state, waiting or answered, can be claimed that must wait until a time; None if
    there is none.
    """
    return connection.scalar(NEXT_DUE, {"state": state, "now": now, "fronts": fronts})


def has_unclaimed(connection: sa.Connection, fronts: Sequence[str]) -> bool:
    """Whether there is a turn to be answered or delivered that no gateway has claimed."""
    return bool(connection.scalar(HAS_UNCLAIMED, {"fronts": fronts}))


def stop(
    connection: sa.Connection,
    conversation: ConversationKey,
    person_id: int,
    reply: Reply,
    now: float,
    *,
    turn_id: int = 0,
) -> tuple[tuple[int, ...], int]:
    """Answer a person's waiting turns in a conversation with `reply`; only one of them if `turn_id` is not 0.

    Returns the ids of those that are running, which the caller must interrupt if they are its own, and the number of
    those that waited. Other gateways get a notice, and find theirs among the turns that are `changed`. A turn whose
    gateway is presumed dead has nobody to interrupt it, so it counts as waiting.
    """
    here = Unindexed(turns.c.conversation) == str(conversation)  # the index of open turns is better
    theirs = sa.and_(IS_OPEN, here, turns.c.person_id == person_id)
    if turn_id:
        theirs = sa.and_(theirs, turns.c.id == turn_id)
    is_orphaned = sa.and_(turns.c.state == RUNNING, turns.c.lease_until < now)
    waiting = turns.update().where(theirs, sa.or_(turns.c.state == WAITING, is_orphaned))
    values = reply_values(reply, now) | {"state": ANSWERED, "owner": "", "lease_until": 0.0}
    ended = connection.execute(waiting.values(values)).rowcount
    running = connection.scalars(sa.select(turns.c.id).where(theirs, turns.c.state == RUNNING)).all()
    if running:
        connection.execute(turns.update().where(turns.c.id.in_(running)).values(stopped=True))
    for turn in running:
        send(connection, Notice(topic=Topic.CHANGED, turn_id=turn))
    return tuple(running), ended


def move(connection: sa.Connection, old: ConversationKey, new: ConversationKey) -> None:
    """Move a conversation's turns to another key. References are cleared: message ids are not valid in the new chat."""
    stale_scopes.note(connection, turns.c.conversation == str(old))
    theirs = turns.update().where(turns.c.conversation == str(old))
    connection.execute(theirs.values(conversation=str(new), reference=""))
    connection.execute(theirs.where(sa.not_(turns.c.at_desk)).values(front=new.front))
    connection.execute(handoffs.update().where(handoffs.c.conversation == str(old)).values(conversation=str(new)))


def renew(connection: sa.Connection, lease: Lease) -> None:
    """Extend the leases of all open turns of an owner."""
    mine = turns.update().where(IS_OPEN, turns.c.owner == lease.owner, turns.c.state.in_([RUNNING, ANSWERED]))
    connection.execute(mine.values(lease_until=lease.until, leased_at=lease.now))


def restart_leases(connection: sa.Connection, lease: Lease, fronts: Sequence[str]) -> None:
    """Count the leases of all owners from now, because the clock was set: an owner that is alive will renew them."""
    leased = turns.update().where(IS_OPEN, turns.c.front.in_(fronts), turns.c.owner != "")
    connection.execute(leased.values(lease_until=lease.until, leased_at=lease.now))


def changed(connection: sa.Connection, owner: str) -> tuple[int, ...]:
    """The turns that the owner answers although their message has changed, or their sender has stopped the reply."""
    return tuple(connection.scalars(IN_VAIN, {"me": owner}))


def stands(connection: sa.Connection, turn_ids: Collection[int]) -> frozenset[int]:
    """Those of the turns that are neither deleted nor about to be: what was answered to them may be told to others."""
    is_withdrawn = turns.c.error.is_not_distinct_from(WITHDRAWN.error)
    kept = sa.and_(turns.c.id.in_(turn_ids), sa.not_(turns.c.leaving), sa.not_(is_withdrawn))
    return frozenset(connection.scalars(sa.select(turns.c.id).where(kept)))


def disown(connection: sa.Connection, platform: str) -> None:
    """End the leases of all turns of a platform or of one front end. The caller knows that no owner is alive."""
    served = sa.or_(turns.c.front == platform, turns.c.front.startswith(f"{platform}/", autoescape=True))
    leased = turns.update().where(IS_OPEN, served, turns.c.owner != "")
    connection.execute(leased.values(lease_until=0.0))


def with_senders() -> sa.Select[tuple[object, ...]]:
    """The turns, each with the `person` who sent its message, and with `desk` and `thread` of its hand-off."""
    joined = turns.join(people, people.c.id == turns.c.person_id)
    joined = joined.outerjoin(handoffs, handoffs.c.id == turns.c.handoff_id)
    return sa.select(turns, people.c.key.label("person"), handoffs.c.desk, handoffs.c.thread).select_from(joined)


def asked_by(person: Person | None) -> sa.ColumnElement[bool]:
    """The turns of a person, or of everybody if it is None."""
    return sa.true() if person is None else turns.c.person_id == id_of(person).scalar_subquery()


def _asking(lease: Lease, fronts: Sequence[str]) -> dict[str, object]:
    return {"owner": lease.owner, "now": lease.now, "fronts": fronts}


def _take_lease(connection: sa.Connection, turn_id: int, lease: Lease, changes: dict[str, object]) -> None:
    values = {"owner": lease.owner, "lease_until": lease.until, "leased_at": lease.now} | changes
    connection.execute(OF_TURN, {"turn": turn_id} | values)


def _check_unchanged(connection: sa.Connection, claim: Claim, owner: str) -> None:
    if connection.scalar(IS_CHANGED, {"turn": claim.id, "me": owner}):
        raise MessageChanged


def _update_owned(connection: sa.Connection, claim: Claim, owner: str, values: dict[str, object]) -> bool:
    return connection.execute(OWNED, {"turn": claim.id, "me": owner} | values).rowcount == 1


def reply_values(reply: Reply, now: float) -> dict[str, object]:
    """The columns of a reply."""
    return {
        "reply": reply.text,
        "source": reply.source,
        "finish": reply.finish,
        "error": reply.error,
        "mood_label": reply.mood.label if reply.mood else None,
        "mood_confidence": reply.mood.confidence if reply.mood else None,
        "show_mood": reply.show_mood,
        "cites": reply.cites,
        "choices": reply.choices,
        "suggestions": reply.suggestions,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "cached_tokens": reply.usage.cached_tokens,
        "finished_at": now,
    }


def message_of(row: sa.Row[tuple[object, ...]]) -> Message:
    """The message of a row of `with_senders`. What is shown to operators answers the first message of their thread."""
    if row.at_desk:
        return Message(
            event_keys=(),
            conversation=replace(ConversationKey.parse(row.desk), thread=row.thread),
            sender=Person.parse(row.person),
            text="",
            sent_at=row.sent_at,
            kind=Kind.GROUP,
            reference=row.thread,
        )
    return Message(
        event_keys=(),
        conversation=ConversationKey.parse(row.conversation),
        sender=Person.parse(row.person),
        text=row.text,
        sent_at=row.sent_at,
        kind=Kind(row.kind),
        reference=row.reference,
        quotes=row.quotes,
        media=row.media,
        again=row.again,
    )


def _read(connection: sa.Connection, turn_id: int, owner: str) -> Claim | None:
    """The claim of a leased turn. If it cannot be read, because the store is damaged, it becomes a dead letter."""
    try:
        return claim_of(connection.execute(_with_sender(), {"turn": turn_id}).one())
    except (*UNREADABLE, sa.exc.OperationalError) as error:
        if isinstance(error, sa.exc.OperationalError) and NO_TEXT not in str(error.orig):
            raise
        fault = described(error)
        log.error("dead letter", turn=turn_id, fault=fault)  # noqa: TRY400  its message may quote the person
        _bury(connection, turn_id, owner, fault)
        return None


@cache
def _with_sender() -> sa.Select[tuple[object, ...]]:
    """One turn of `with_senders`."""
    return with_senders().where(turns.c.id == TURN)


def _bury(connection: sa.Connection, turn_id: int, owner: str, fault: str) -> None:
    mine = turns.update().where(turns.c.id == turn_id, turns.c.owner == owner)
    connection.execute(mine.values(state=DEAD, owner="", lease_until=0.0, fault=fault))


def claim_of(row: sa.Row[tuple[object, ...]]) -> Claim:
    """The turn of a row of `with_senders`, claimed or not."""
    reply = None if row.reply is None else _reply(row)
    return Claim(
        id=row.id,
        attempt=row.attempts,
        faults=row.faults,
        message=message_of(row),
        locale=cast("Locale", row.locale),
        handle=row.handle,
        reply=reply,
        is_revised=row.revised,
        is_passed_on=row.source == Source.PERSON,
        title=say(row.locale, "handoff.title", person=Person.parse(row.person).name) if _lacks_thread(row) else "",
    )


def _lacks_thread(row: sa.Row[tuple[object, ...]]) -> bool:
    return bool(row.at_desk and not row.thread)


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
        cites=row.cites or "",
        error=row.error,
        choices=row.choices,
        suggestions=row.suggestions,
    )
