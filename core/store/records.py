"""Export and deletion of everything that is stored about a person."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from core.commands import ACCESS, GAPS, TEACH
from core.i18n import say
from core.messages import WITHDRAWN, ConversationKey, Finish, Kind, Media, Message, Person, Quote, Reply, Source
from core.store import amendments, farewells, handoffs, stale_scopes, tombstones
from core.store.people import id_of
from core.store.removal import ALL, note_words, remove_turns
from core.store.schema import people, turns, votes
from core.store.states import IS_OPEN
from core.store.turns import QUOTES, add, asked_by, with_senders

PAGE = 200
"""Records in a page of an export: reading it takes milliseconds."""
LATEST = 100
"""Turns of a person among which the one is that asked to be forgotten."""
NO_WORDS = {"text": "", "quotes": (), "media": (), "pieces": (), "opens": (), "again": 0, "leaving": True}
IS_COMMAND = turns.c.source == sa.literal_column(f"'{Source.COMMAND}'")
"""Spelled like the condition of the index `turns_commands`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One exported message and its reply. Times are UTC epoch seconds; `votes` are 1 and -1."""

    turn: int
    person: str
    conversation: str
    sent_at: float
    text: str
    quotes: tuple[Quote, ...]
    media: tuple[Media, ...]
    reply: str
    source: str
    mood: str | None
    votes: tuple[int, ...]


def export(connection: sa.Connection, person: Person | None, after: int = 0, limit: int = PAGE) -> tuple[Record, ...]:
    """A page of the answered messages of a person, or of everybody if it is None, without commands, oldest first.

    It begins after the turn `after`, which is the last one of the page before.
    """
    said = sa.and_(asked_by(person), turns.c.reply.is_not(None), turns.c.source != Source.COMMAND, turns.c.id > after)
    rows = connection.execute(with_senders().where(said).order_by(turns.c.id).limit(limit)).all()
    cast = _votes(connection, [row.id for row in rows])
    return tuple(
        Record(
            turn=row.id,
            person=row.person,
            conversation=row.conversation,
            sent_at=row.sent_at,
            text=row.text,
            quotes=row.quotes,
            media=row.media,
            reply="" if row.at_desk else row.reply,  # what is passed on to operators is the text again
            source=row.source,
            mood=row.mood_label,
            votes=tuple(cast.get(row.id, ())),
        )
        for row in rows
    )


def forget(
    connection: sa.Connection, person: Person, current_turn: int, limit: int | None = ALL, *, now: float = 0.0
) -> bool:
    """Forget a person. True if something is left, since no more than `limit` turns are changed: call it again.

    The turn that asks for it, 0 if an operator does, and all that are open stay, without words, until they are
    delivered. The quotes of all messages are deleted as well, since they may be of this person; so is what
    administrators were asked about them, and what operators are shown of their conversations. A tombstone remains, and
    digests of event keys, so that a message delivered again is still a duplicate.
    """
    person_id = connection.scalars(id_of(person)).first()
    if person_id is None:
        return False
    theirs = turns.c.person_id == person_id
    _leave_desk(connection, person, person_id, now)
    asked_at = _asked_at(connection, person, current_turn)
    tombstones.bury(connection, person, asked_at)
    _close(connection, theirs, current_turn, asked_at)
    connection.execute(votes.delete().where(votes.c.person_id == person_id))
    preferences = {"locale": None, "spoken": None, "straying": 0, "hint": None, "show_mood": True}
    connection.execute(people.update().where(people.c.id == person_id).values(preferences))
    removed = remove_turns(connection, sa.and_(theirs, sa.not_(turns.c.leaving)), limit)
    unquoted = _delete_quotes(connection, limit)
    for about in (_asks_about(person), *_show_questions()):
        remove_turns(connection, about)
    note_words(connection)
    farewells.remove_person(connection, person_id)
    return limit in {removed, unquoted}


def _close(connection: sa.Connection, theirs: sa.ColumnElement[bool], current_turn: int, now: float) -> None:
    """Answer a person's open turns with a word that they have ended; those that are being answered are interrupted.

    The turn that asks for it is answered by its owner. A refusal is a word already, to a message that is not stored.
    """
    for turn in connection.execute(sa.select(turns).where(IS_OPEN, theirs, sa.not_(turns.c.leaving))).all():
        if turn.id == current_turn or turn.source == Source.REFUSAL:
            amendments.note(connection, turn, {"leaving": True})
        else:
            ended = Reply(text=say(turn.locale, "command.stopped"), source=Source.REFUSAL, finish=Finish.STOPPED)
            amendments.amend(connection, turn, NO_WORDS, now, ended)


def _leave_desk(connection: sa.Connection, person: Person, person_id: int, now: float) -> None:
    """Withdraw what operators are shown of a person's conversations. In the threads of those that are open a note says
    that they have ended.
    """
    for handoff in handoffs.of_person(connection, person_id):
        for turn in handoffs.shown(connection, handoff.id):
            amendments.amend(connection, turn, NO_WORDS, now, WITHDRAWN)
        if handoffs.close(connection, handoff.id, "forget", now):
            _note_end(connection, handoff, now)
    handoffs.disown(connection, person)


def _note_end(connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], now: float) -> None:
    """Tell the operators that the person was forgotten, by a turn that goes once it is delivered."""
    place = ConversationKey.parse(handoff.conversation)
    sender = Person.parse(handoff.person)
    message = Message(event_keys=(), conversation=place, sender=sender, text="", sent_at=now, kind=Kind(handoff.kind))
    told = Reply(text=say(handoff.locale, "handoff.operators_forget"), source=Source.COMMAND)
    front = ConversationKey.parse(handoff.desk).front
    noted = add(
        connection,
        handoff.person_id,
        message,
        handoff.locale,
        now,
        told,
        handoff_id=handoff.id,
        desk_front=front,
    )
    connection.execute(turns.update().where(turns.c.id == noted).values(leaving=True))


def _votes(connection: sa.Connection, turn_ids: list[int]) -> dict[int, list[int]]:
    cast: dict[int, list[int]] = {}
    for turn_id, vote in connection.execute(
        sa.select(votes.c.turn_id, votes.c.vote).where(votes.c.turn_id.in_(turn_ids))
    ):
        cast.setdefault(turn_id, []).append(vote)
    return cast


def _asked_at(connection: sa.Connection, person: Person, current_turn: int) -> float:
    """When the person asked for it, by the platform's clock: later messages must not be taken for earlier ones.

    The turn of a button has the time of this machine, and the reference of the message that asked. If an operator asks,
    there is no time of the platform's: it is a moment after the last one, so that backups know of it and no message is
    dropped.
    """
    before = tombstones.forgotten_at(connection, person)
    if not current_turn:
        return math.nextafter(before, math.inf)
    latest = sa.select(turns.c.id, turns.c.reference, turns.c.sent_at).where(asked_by(person))
    rows = connection.execute(latest.order_by(turns.c.id.desc()).limit(LATEST)).all()
    reference = next((row.reference for row in rows if row.id == current_turn), "")
    times = [row.sent_at for row in rows if row.id == current_turn or (reference and row.reference == reference)]
    return max(min(times, default=0.0), before)


def _delete_quotes(connection: sa.Connection, limit: int | None) -> int:
    quoting = sa.select(turns.c.id).where(QUOTES).limit(limit)
    stale_scopes.note(connection, turns.c.id.in_(quoting))
    return connection.execute(turns.update().where(turns.c.id.in_(quoting)).values(quotes=())).rowcount


def _asks_about(person: Person) -> sa.ColumnElement[bool]:
    """The commands of administrators that name the person, or list the people who were let in."""
    is_access = turns.c.text.between(str(ACCESS), f"{ACCESS}!")  # a range of the index `turns_commands`
    text, named = sa.func.lower(turns.c.text), f"{ACCESS} {person.name}".lower()
    about = sa.or_(text == str(ACCESS), text == named, text.between(f"{named} ", f"{named}!"))
    return sa.and_(IS_COMMAND, is_access, about, sa.not_(IS_OPEN))


def _show_questions() -> Iterator[sa.ColumnElement[bool]]:
    """The commands of administrators that show what people asked, by ranges of that index: names may be typed in
    capitals.
    """
    for command in (GAPS, TEACH):
        is_called = sa.func.lower(turns.c.text).startswith(str(command))
        for first in (command.name[0], command.name[0].upper()):
            yield sa.and_(IS_COMMAND, turns.c.text.between(f"/{first}", f"/{first}~"), is_called, sa.not_(IS_OPEN))
