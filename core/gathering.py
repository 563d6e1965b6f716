"""A message that comes in several events: an album, a long text in pieces, a forward with a comment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.messages import Message

GATHERING = 1.0
"""Seconds for which a message of which more may come waits, from its first event on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The sender's own words in one of the events of a message; `reference` is the platform's id of that event.

    They were last edited at a time in UTC epoch seconds, or never if it is 0.
    """

    reference: str
    text: str
    edited_at: float = 0.0


def piece_of(message: Message) -> Piece:
    """The words of one event."""
    return Piece(reference=message.reference, text=message.text, edited_at=message.edited_at)


def with_piece(pieces: Sequence[Piece], piece: Piece) -> tuple[Piece, ...]:
    """The pieces with one more, or with another text for the piece of that reference."""
    others = [known.reference for known in pieces]
    if piece.reference not in others:
        return (*pieces, piece)
    return tuple(piece if known.reference == piece.reference else known for known in pieces)


def joined(pieces: Iterable[Piece]) -> str:
    """The words of a whole message. A client that cuts a long text drops the white space at the cut."""
    return "\n".join(piece.text for piece in pieces if piece.text)
