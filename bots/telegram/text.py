"""Formatted text for Telegram: plain text with message entities, which cannot fail to parse as markup can."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from telegram import MessageEntity
from telegram.constants import MessageEntityType, MessageLimit

from bots import markdown
from bots.markdown import FormattedText, Kind, Layout, Span, laid_out
from bots.markdown.file_names import file_names
from bots.markdown.formatted import VERBATIM

LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
MAX_ENTITIES = int(MessageLimit.MESSAGE_ENTITIES)
LAYOUT = Layout(bullet="• ")
NOTHING = "…"
TYPES = {
    Kind.BOLD: MessageEntityType.BOLD,
    Kind.ITALIC: MessageEntityType.ITALIC,
    Kind.STRIKE: MessageEntityType.STRIKETHROUGH,
    Kind.CODE: MessageEntityType.CODE,
    Kind.LINK: MessageEntityType.TEXT_LINK,
    Kind.PRE: MessageEntityType.PRE,
    Kind.TABLE: MessageEntityType.PRE,
    Kind.QUOTE: MessageEntityType.BLOCKQUOTE,
}
MENTION = re.compile(r"(?<!\w)@(?=\w)")
NO_BREAK = "\u2060"
"""A word joiner, which is invisible."""


def from_markdown(text: str) -> FormattedText:
    """A Markdown text as Telegram shows it; "…" if it has no words."""
    whole = laid_out(text, LAYOUT)
    return _with_file_names(whole) if any(map(_is_visible, whole.text)) else FormattedText(text=NOTHING)


def without_mentions(whole: FormattedText) -> FormattedText:
    """The text with an invisible character in each @name, so that Telegram notifies no one of it. Code has no names."""
    prose = whole.outside(*VERBATIM)
    found = (name.end() for start, end in prose for name in MENTION.finditer(whole.text, start, end))
    return whole.replaced([(at, at, NO_BREAK) for at in found])


def split(whole: FormattedText, limit: int = LIMIT) -> list[FormattedText]:
    """Parts of at most `limit` UTF-16 code units and a hundred entities."""
    return markdown.split(whole, lambda part: _fits(part, limit), limit)


def ending(whole: FormattedText, limit: int = LIMIT) -> FormattedText:
    """The end of a text, at most `limit` UTF-16 code units and a hundred entities."""
    return markdown.end_that_fits(whole, lambda part: _fits(part, limit), limit)


def units(text: str) -> int:
    """The length of a text in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def entities(whole: FormattedText) -> list[MessageEntity]:
    """The spans as Telegram's message entities, which count in UTF-16 code units."""
    return [
        MessageEntity(
            type=TYPES[span.kind],
            offset=units(whole.text[: span.start]),
            length=units(whole.text[span.start : span.end]),
            language=(span.detail or None) if span.kind is Kind.PRE else None,
            url=span.detail if span.kind is Kind.LINK else None,
        )
        for span in sorted(_shown(whole), key=lambda span: (span.start, -span.end))
    ]


def _fits(part: FormattedText, limit: int) -> bool:
    return units(part.text) <= limit and sum(1 for _ in _shown(part)) <= MAX_ENTITIES


def _shown(whole: FormattedText) -> Iterator[Span]:
    """The spans that Telegram takes: nothing is formatted in code, no code in links, no quote in a quote."""
    code = _code(whole)
    starts, kept = [span.start for span in code], set(code)
    quoted = 0
    for span in whole.spans:
        match span.kind:
            case Kind.PREFIX:
                continue
            case Kind.QUOTE if span.start < quoted:
                continue
            case Kind.LINK if whole.text[span.start : span.end] == span.detail:  # Telegram finds it by itself
                continue
            case Kind.BOLD | Kind.ITALIC | Kind.STRIKE:
                inner = slice(bisect_left(starts, span.start), bisect_left(starts, span.end))
                yield from _around(span, code[inner], whole.text)
            case Kind.CODE if span not in kept:
                continue
            case _:
                quoted = span.end if span.kind is Kind.QUOTE else quoted
                yield span


def _code(whole: FormattedText) -> list[Span]:
    """The code of a text, in order, without the code in links."""
    found, linked = [], 0
    for span in whole.of(Kind.LINK, *VERBATIM):
        if span.kind is Kind.LINK:
            linked = span.end
        elif span.start >= linked:
            found.append(span)
    return found


def _around(span: Span, holes: list[Span], text: str) -> Iterator[Span]:
    """The pieces of a span without the code in it."""
    at = span.start
    for hole in [*holes, replace(span, start=span.end)]:
        if text[at : hole.start].strip():
            yield replace(span, start=at, end=hole.start)
        at = hole.end


def _with_file_names(whole: FormattedText) -> FormattedText:
    """The text with names of files as code, which Telegram does not look for addresses in."""
    prose = whole.outside(Kind.LINK, *VERBATIM)
    names = [name for start, end in prose for name in file_names(whole.text, start, end) if name["domain"]]
    spans = [Span(start=name.start(), end=name.end(), kind=Kind.CODE) for name in names]
    return replace(whole, spans=tuple(sorted([*whole.spans, *spans], key=lambda span: (span.start, -span.end))))


def _is_visible(char: str) -> bool:
    return char.isprintable() and not char.isspace()
