"""Formatted text for Telegram: plain text with message entities, which cannot fail to parse as markup can."""

import re
from dataclasses import dataclass, replace
from itertools import chain

from telegram import MessageEntity
from telegram.constants import MessageLimit

from bots.markdown import ends_in_words

LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
MAX_MARKS = int(MessageLimit.MESSAGE_ENTITIES)
FENCE = re.compile(r"^```([\w+#.-]*)[^\S\n]*\n(.*?)(?:\n?^```[^\S\n]*$|\Z)", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)|\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")
MENTION = re.compile(r"(?<!\w)@(?=\w)")
BREAKS = ("\n\n", "\n", " ")
NO_BREAK = "\u2060"
"""A word joiner, which is invisible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A formatted span of a text, in Python's offsets. `kind` is "pre", "code" or "bold"."""

    start: int
    end: int
    kind: str
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedText:
    """A text and its formatted spans."""

    text: str
    marks: tuple[Mark, ...] = ()

    def entities(self) -> list[MessageEntity]:
        """The spans as Telegram's message entities, which count in UTF-16 code units."""
        return [
            MessageEntity(
                type=mark.kind,
                offset=units(self.text[: mark.start]),
                length=units(self.text[mark.start : mark.end]),
                language=mark.language or None,
            )
            for mark in self.marks[:MAX_MARKS]
        ]

    def followed_by(self, ending: str) -> "FormattedText":
        """The text with an ending appended: on a new line after code, and after a quote or table, which is shown as
        written.
        """
        in_code = any(mark.kind == "pre" and mark.end == len(self.text) for mark in self.marks)
        return replace(self, text=self.text + (" " if ends_in_words(self.text) and not in_code else "\n") + ending)


def units(text: str) -> int:
    """The length of a text in UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)


def from_markdown(markdown: str) -> FormattedText:
    """Markdown with its code blocks, code and bold formatted. All other markup stays as it is written."""
    pieces: list[tuple[str, str, str]] = []
    done = 0
    for block in FENCE.finditer(markdown):
        pieces += _inline(markdown[done : block.start()])
        pieces.append((block[2], "pre", block[1]))
        done = block.end()
    found = _joined([*pieces, *_inline(markdown[done:])])
    return found if found.text else FormattedText(text=markdown.strip() or "…")


def without_mentions(text: str) -> str:
    """The text with an invisible character in each @name, so that Telegram notifies no one of it."""
    return MENTION.sub(f"@{NO_BREAK}", text)


def split(whole: FormattedText, limit: int = LIMIT) -> list[FormattedText]:
    """Parts of at most `limit` UTF-16 code units, cut between paragraphs, lines or words. Spans go on in the next."""
    parts, start = [], 0
    while start < len(whole.text):
        end = _end(whole.text, start, limit)
        parts.append(_part(whole, start, end))
        start = end
    return [part for part in parts if part.text]


def ending(text: str, limit: int = LIMIT) -> str:
    """The end of a text, at most `limit` UTF-16 code units."""
    if units(text) <= limit:
        return text
    kept = text[-(limit - 1) :]
    while units(kept) > limit - 1:
        kept = kept[units(kept) - limit + 1 :]
    return f"…{kept}"


def _inline(text: str) -> list[tuple[str, str, str]]:
    pieces, done = [], 0
    for found in INLINE.finditer(text):
        pieces.append((text[done : found.start()], "", ""))
        pieces.append((found[1], "code", "") if found[1] else (found[2], "bold", ""))
        done = found.end()
    return [*pieces, (text[done:], "", "")]


def _joined(pieces: list[tuple[str, str, str]]) -> FormattedText:
    marks, length = [], 0
    for text, kind, language in pieces:
        if kind and text.strip():
            marks.append(Mark(start=length, end=length + len(text), kind=kind, language=language))
        length += len(text)
    whole = FormattedText(text="".join(text for text, _, _ in pieces), marks=tuple(marks))
    return _part(whole, 0, length)


def _part(whole: FormattedText, start: int, end: int) -> FormattedText:
    """A part of a text without the white space around it, which Telegram would strip without moving the entities."""
    text = whole.text[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    end = start + len(text)
    clipped = (
        replace(mark, start=max(mark.start, start) - start, end=min(mark.end, end) - start)
        for mark in whole.marks
        if mark.start < end and mark.end > start
    )
    return FormattedText(text=text, marks=tuple(clipped))


def _end(text: str, start: int, limit: int) -> int:
    """The end of the part that begins at `start`: the last break in the second half of what fits."""
    end = min(len(text), start + limit)
    while (over := units(text[start:end]) - limit) > 0:
        end -= max(1, over // 2)
    if end == len(text):
        return end
    found = chain.from_iterable((text.rfind(stop, start + (end - start) // 2, end) + len(stop),) for stop in BREAKS)
    return next((at for at in found if at > start + (end - start) // 2), end)
