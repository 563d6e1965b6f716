"""A reply as Telegram takes it: plain text, marked parts, and pieces that fit. Nothing in it can fail to parse."""

import re
from dataclasses import dataclass, replace
from itertools import chain

from telegram import MessageEntity
from telegram.constants import MessageLimit

LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
MAX_MARKS = int(MessageLimit.MESSAGE_ENTITIES)
FENCE = re.compile(r"^```([\w+#.-]*)[^\S\n]*\n(.*?)(?:\n?^```[^\S\n]*$|\Z)", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)|\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")
MENTION = re.compile(r"(?<!\w)@(?=\w)")
BREAKS = ("\n\n", "\n", " ")
NO_BREAK = "\u2060"
"""A word joiner, which nobody sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A marked part of a text, by Python's offsets."""

    start: int
    end: int
    kind: str
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rich:
    """A text and its marks."""

    text: str
    marks: tuple[Mark, ...] = ()

    def entities(self) -> list[MessageEntity]:
        """The marks as Telegram counts them, in UTF-16 units."""
        return [
            MessageEntity(
                type=mark.kind,
                offset=units(self.text[: mark.start]),
                length=units(self.text[mark.start : mark.end]),
                language=mark.language or None,
            )
            for mark in self.marks[:MAX_MARKS]
        ]

    def followed_by(self, ending: str) -> "Rich":
        """The text with an ending, on a line of its own after a block of code."""
        in_code = any(mark.kind == "pre" and mark.end == len(self.text) for mark in self.marks)
        return replace(self, text=self.text + ("\n" if in_code else " ") + ending)


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) + sum(char > "\uffff" for char in text)


def rich(markdown: str) -> Rich:
    """Code blocks, code and bold of a model's Markdown; all else stays as it is written."""
    pieces: list[tuple[str, str, str]] = []
    done = 0
    for block in FENCE.finditer(markdown):
        pieces += _inline(markdown[done : block.start()])
        pieces.append((block[2], "pre", block[1]))
        done = block.end()
    found = _joined([*pieces, *_inline(markdown[done:])])
    return found if found.text else Rich(text=markdown.strip() or "…")


def without_mentions(text: str) -> str:
    """The text with its @names as words, so that nobody is called by what the model wrote."""
    return MENTION.sub(f"@{NO_BREAK}", text)


def split(whole: Rich, limit: int = LIMIT) -> list[Rich]:
    """Parts of at most `limit` units, cut between paragraphs, lines or words; a mark goes on in the next part."""
    parts, start = [], 0
    while start < len(whole.text):
        end = _end(whole.text, start, limit)
        parts.append(_part(whole, start, end))
        start = end
    return [part for part in parts if part.text]


def ending(text: str, limit: int = LIMIT) -> str:
    """As much of the end of a text as fits."""
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


def _joined(pieces: list[tuple[str, str, str]]) -> Rich:
    marks, length = [], 0
    for text, kind, language in pieces:
        if kind and text.strip():
            marks.append(Mark(start=length, end=length + len(text), kind=kind, language=language))
        length += len(text)
    whole = Rich(text="".join(text for text, _, _ in pieces), marks=tuple(marks))
    return _part(whole, 0, length)


def _part(whole: Rich, start: int, end: int) -> Rich:
    """A stretch of a text without the space around it, which Telegram would take away and shift the marks."""
    text = whole.text[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    end = start + len(text)
    clipped = (
        replace(mark, start=max(mark.start, start) - start, end=min(mark.end, end) - start)
        for mark in whole.marks
        if mark.start < end and mark.end > start
    )
    return Rich(text=text, marks=tuple(clipped))


def _end(text: str, start: int, limit: int) -> int:
    """Where the part that begins at `start` ends: at the last break in the second half of what fits."""
    end = min(len(text), start + limit)
    while (over := units(text[start:end]) - limit) > 0:
        end -= max(1, over // 2)
    if end == len(text):
        return end
    found = chain.from_iterable((text.rfind(stop, start + (end - start) // 2, end) + len(stop),) for stop in BREAKS)
    return next((at for at in found if at > start + (end - start) // 2), end)
