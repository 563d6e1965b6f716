"""What becomes of a turn if its sender edits its message, or withdraws it."""

from collections.abc import Mapping

import sqlalchemy as sa

from core import commands
from core.amending import MAX_QUOTED_CHARACTERS, NO_WORDS, amend, pieces_of
from core.gathering import joined, piece_of, with_piece
from core.messages import WITHDRAWN, Kind, Locale, Message, Relation, Reply
from core.parts import fitted
from core.store import amendments
from core.store.removal import note_words
from core.store.states import DELIVERED
from core.text import size_in_bytes

ANEW_WITHIN = 600.0
"""Seconds for which a question is answered anew although its sender has asked others since. Later answers may rest on
the old one, and nobody looks for a new answer far up in a chat.
"""


def changes(turn: sa.Row[tuple[object, ...]], message: Message) -> Mapping[str, object] | None:
    """What an edit of its message, which is `message` now, changes about a turn; None if it changes nothing.

    Platforms also report edits that concern neither words nor media, such as the preview of a link. Of a message in
    several pieces only the edited one is known, so that the quotes and media of the others stay.
    """
    known, edited = pieces_of(turn), piece_of(message)
    old = next((piece for piece in known if piece.reference == edited.reference), None)
    if old is None or old.edited_at > edited.edited_at or _asks_again(turn, message) or _is_for_one(turn, message):
        return None
    pieces = with_piece(known, edited)
    text, media, quotes = joined(pieces), message.media, _quotes(turn, message)
    if len(pieces) > 1:
        media, quotes = tuple(dict.fromkeys((*turn.media, *media))), turn.quotes
    if (text, media) == (turn.text, turn.media):
        return None
    return {"text": text, "pieces": pieces, "quotes": quotes, "media": media, "again": 0}


def edit(
    connection: sa.Connection,
    turn: sa.Row[tuple[object, ...]],
    changed: Mapping[str, object],
    locale: Locale,
    max_bytes: int,
    now: float,
    *,
    reply: Reply | None = None,
) -> tuple[int, ...]:
    """Give a turn its edited message, and the same to those that ask its question again. The latest of them is answered
    anew, in its messages; with `reply` if there is one.

    Returns the running turns that the caller must interrupt. If the answer is too old, or of a kind that has no message
    to be edited, it stays, and only the words in the history change.
    """
    *earlier, latest = amendments.askings(connection, turn.id)
    for row in earlier:
        _reword(connection, row, changed, max_bytes)
    if latest.reply is not None and not latest.at_desk and not _can_be_answered_anew(connection, latest, now):
        _reword(connection, latest, changed, max_bytes)
        return ()
    values = {**changed, "again": latest.again if latest.id != turn.id else 0, "locale": locale}
    if reply is None:
        amend(connection, latest, values, locale, max_bytes, now)
    else:
        amendments.amend(connection, latest, values, now, reply)
    return (latest.id,) if latest.owner else ()


def withdraw(connection: sa.Connection, turn: sa.Row[tuple[object, ...]], now: float) -> tuple[int, ...]:
    """Delete the words of a turn and of those that ask its question again. What is shown of them is removed next.

    Returns the running turns that the caller must interrupt.
    """
    running = []
    for row in amendments.askings(connection, turn.id):
        if row.claimed_at is None and row.reply is None:  # nothing is shown
            amendments.remove(connection, row)
            continue
        amendments.amend(connection, row, {**NO_WORDS, "opens": ()}, now, WITHDRAWN)
        note_words(connection)
        running += [row.id] if row.owner else []
    return tuple(running)


def _asks_again(turn: sa.Row[tuple[object, ...]], message: Message) -> bool:
    """Whether the turn got its question by /retry, and the message still says so."""
    call = commands.parse(message.text)
    return turn.again != 0 and call is not None and call.command is commands.RETRY


def _is_for_one(turn: sa.Row[tuple[object, ...]], message: Message) -> bool:
    """Whether only the sender may see the answer to the edited message, while others see the messages of the turn."""
    return bool(turn.handle) and message.kind is Kind.GROUP and commands.personal_command(message.text) is not None


def _quotes(turn: sa.Row[tuple[object, ...]], message: Message) -> tuple[object, ...]:
    """The quotes of the edited message. What was said earlier in its thread is not in the edit."""
    earlier = [quote for quote in turn.quotes if quote.relation is Relation.EARLIER]
    return fitted((*earlier, *message.quotes), MAX_QUOTED_CHARACTERS)


def _can_be_answered_anew(connection: sa.Connection, turn: sa.Row[tuple[object, ...]], now: float) -> bool:
    """An answer that only its sender sees may be in another chat, or in none any more; a file is no text to edit."""
    command = commands.personal_command(turn.text)
    if turn.forgotten or (command and (command.file or turn.kind == Kind.GROUP)):
        return False
    return now <= turn.accepted_at + ANEW_WITHIN or amendments.is_newest(connection, turn)


def _reword(
    connection: sa.Connection, turn: sa.Row[tuple[object, ...]], changed: Mapping[str, object], max_bytes: int
) -> None:
    """Change the words of a turn, whose answer stays; but not if they say how the answer is still to be delivered.

    A text has no more tokens than bytes.
    """
    if turn.state != DELIVERED:
        return
    size = size_in_bytes(str(changed["text"]))
    if size > max_bytes:
        amendments.note(connection, turn, {**NO_WORDS, "remembered": False})
    else:
        tokens = turn.tokens + size if turn.remembered else turn.tokens
        amendments.note(connection, turn, {**changed, "again": turn.again, "tokens": tokens})
