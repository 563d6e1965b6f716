"""Which of Telegram's messages are one message: albums, long texts in pieces, and forwards with their comment."""

from bots.telegram.payloads import Post
from bots.telegram.text import units
from core import commands
from core.messages import NO_TIES, Ties

SHORTEST_PIECE = 2_048
"""UTF-16 units. A client sends a text over 4,096 in pieces, and cuts at a paragraph in the second half of these."""


def ties(post: Post, own_words: str) -> Ties:
    """The pieces of a text follow each other, and a comment is sent just before what it forwards or just after it: in
    the same second or in the next. Telegram names albums itself.
    """
    if post.media_group_id is not None:
        return _album(post, post.media_group_id)
    if post.forward_origin is not None:
        return Ties(joins=_lately(post, "words", "forward"), opens=(f"forward:{post.date}",), waits=True)
    if post.text is not None:
        return _text(post, own_words)
    return NO_TIES


def _album(post: Post, name: str) -> Ties:
    album = f"album:{name}"
    if post.forward_origin is None:
        return Ties(joins=(album,), opens=(album,), waits=True)
    return Ties(joins=(album, *_lately(post, "words", "forward")), opens=(album, f"forward:{post.date}"), waits=True)


def _text(post: Post, text: str) -> Ties:
    """A command has no comment, but a piece of a text may begin like one."""
    if commands.parse(text):
        return Ties(joins=_lately(post, "piece"))
    is_long = units(text) > SHORTEST_PIECE
    opens = (f"words:{post.date}", *([f"piece:{post.date}"] * is_long))
    return Ties(joins=_lately(post, "piece", "forward"), opens=opens, waits=is_long)


def _lately(post: Post, *kinds: str) -> tuple[str, ...]:
    """Names of what was sent in the second of a message or in the one before."""
    return tuple(f"{kind}:{second}" for kind in kinds for second in (post.date, post.date - 1))
