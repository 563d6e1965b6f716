"""What becomes of a turn if more of its message comes after it was accepted."""

from collections.abc import Mapping

import sqlalchemy as sa

from core.apologies import refusal
from core.errors import TooLong
from core.gathering import GATHERING, Piece, joined, piece_of, with_piece
from core.handoff import relaying
from core.messages import Locale, Message, Source
from core.parts import fitted
from core.store import amendments
from core.text import size_in_bytes

MAX_QUOTED_CHARACTERS = 6_000
"""Characters of a message's quotes that are stored. The pipeline shortens them further, to what the model reads."""
JOINABLE = 10.0
"""Seconds after which no more of a message is expected."""
NO_WORDS: Mapping[str, object] = {"text": "", "pieces": (), "quotes": (), "media": ()}
"""The columns of a message whose words are not kept."""


def join(
    connection: sa.Connection,
    turn: sa.Row[tuple[object, ...]],
    message: Message,
    locale: Locale,
    max_bytes: int,
    now: float,
) -> bool:
    """Add a message to that of a turn. True if the turn is being answered, which the caller must interrupt.

    The rest of a message that was refused is refused with it. The turn waits no longer than a second in all.
    """
    values: dict[str, object] = {"opens": message.ties.opens}
    if _is_refused(turn):
        amendments.note(connection, turn, values)
        return False
    pieces = with_piece(pieces_of(turn), piece_of(message))
    values |= {
        "text": joined(pieces),
        "pieces": pieces,
        "quotes": fitted((*turn.quotes, *message.quotes), MAX_QUOTED_CHARACTERS),
        "media": tuple(dict.fromkeys((*turn.media, *message.media))),
        "locale": locale,
    }
    if message.ties.waits:
        values["not_before"] = turn.accepted_at + GATHERING
    if not _is_new(turn, values):
        amendments.note(connection, turn, values)
        return False
    if turn.revised and turn.reply is not None and not turn.at_desk:  # a turn is answered anew once
        amendments.note(connection, turn, {**values, "remembered": False})  # the answer is not to these words
        return False
    amend(connection, turn, values, locale, max_bytes, now)
    return bool(turn.owner)


def amend(
    connection: sa.Connection,
    turn: sa.Row[tuple[object, ...]],
    values: Mapping[str, object],
    locale: Locale,
    max_bytes: int,
    now: float,
) -> None:
    """Give a turn its new message, or a refusal if that is too long. If it is leased, the caller must interrupt it."""
    if (size := size_in_bytes(str(values["text"]))) > max_bytes:
        notice = refusal(TooLong(size=size, limit=max_bytes, unit="bytes"), locale)
        amendments.amend(connection, turn, {**values, **NO_WORDS}, now, notice)
    elif turn.at_desk:
        relaying.revised(connection, turn, values, now)
    else:
        amendments.amend(connection, turn, values, now)


def pieces_of(turn: sa.Row[tuple[object, ...]]) -> tuple[Piece, ...]:
    """The pieces of a turn's message; a message that came in one event has one."""
    return turn.pieces or (Piece(reference=turn.reference, text=turn.text),)


def _is_new(turn: sa.Row[tuple[object, ...]], values: Mapping[str, object]) -> bool:
    return (turn.text, turn.quotes, turn.media) != (values["text"], values["quotes"], values["media"])


def _is_refused(turn: sa.Row[tuple[object, ...]]) -> bool:
    """Whether its message was refused when it came, or for its length."""
    return turn.source == Source.REFUSAL and (turn.claimed_at is None or turn.error == "too_long")
