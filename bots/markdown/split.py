"""Cuts formatted text into parts that fit into messages: between blocks, else lines, sentences, words or characters.

A part stands by itself: formats that are cut go on in the next part, a table repeats its head, and lists that begin in
the middle are moved to the margin. White space at a cut is dropped, except the indentation of code.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import regex

from bots.markdown.formatted import BLOCKS_OF_CODE, FormattedText, Kind, Span

Fits: TypeAlias = Callable[[FormattedText], bool]
"""Whether a part is small enough. If a part is, so are shorter ones."""

BLOCK, LINE = regex.compile(r"\n\n"), regex.compile(r"\n")
SENTENCE = regex.compile(r"(?<![\d\s])[.!?…][\"')»”’]*+\s|[。！？…]+[”’」』）]*")
WORD = regex.compile(r"(?<=\S)[^\S\n]+|[，、；：]")
CHARACTER = regex.compile(r"\X")
LONGEST_CHARACTER = 64
"""Code points of a character that is not cut, such as a family of emoji."""
LAST_PART = 40
"""Characters that the last part has at least, so that the emoji of a mood is not a message of its own."""


def split(whole: FormattedText, fits: Fits, most: int) -> list[FormattedText]:
    """The parts of a text that has words. A part that fits has at most `most` characters."""
    parts, start, ahead, near = [], 0, 0, FormattedText(text=whole.text)
    starts = [span.start for span in whole.spans]
    while start < len(whole.text):
        reached = bisect_left(starts, start + most)
        spans = [*near.spans, *whole.spans[ahead:reached]]
        near, ahead = replace(whole, spans=tuple(_still_needed(whole, spans, start))), reached
        end = _end(near, start, fits, most)
        parts.append(_part(near, start, end, most))
        start = end
    return [part for part in parts if part.text]


def _still_needed(whole: FormattedText, spans: Sequence[Span], start: int) -> Iterator[Span]:
    """The spans that parts from `start` on depend on. A part that looked at all spans of a long text would be slow."""
    line = whole.text.rfind("\n", 0, start) + 1
    return (span for span in spans if span.end > start or (span.kind is Kind.PREFIX and span.start >= line))


def end_that_fits(whole: FormattedText, fits: Fits, most: int) -> FormattedText:
    """The last lines of a text as a part; of one long line, its last characters."""
    size = len(whole.text)
    first = max(0, size - most)
    starts = [0] * (first == 0) + [found.end() for found in LINE.finditer(whole.text, first)]
    starts = starts or [found.end() for found in CHARACTER.finditer(whole.text, first)]
    number = bisect_left(starts[:-1], x=True, key=lambda at: fits(_part(whole, at, size, most)))
    return _part(whole, starts[number], size, most) if starts else whole


def _end(whole: FormattedText, start: int, fits: Fits, most: int) -> int:
    """Where the part from `start` ends: at the best break in the second half of what fits, or at the end of the text.

    Some characters are left for the last part.
    """
    size = len(whole.text)
    last = min(size, start + most)
    if last == size and fits(_part(whole, start, size, most)):
        return size
    if not fits(_part(whole, start, last, most)):
        ends = range(start + 1, last)
        last = start + bisect_left(ends, x=True, key=lambda end: not fits(_part(whole, start, end, most)))
    spare = min(LAST_PART, (last - start) // 4)
    last = min(last, size - spare)
    return next(_breaks(whole, start, start + (last - start) // 2, last), max(last, start + 1))


def _breaks(whole: FormattedText, start: int, middle: int, last: int) -> Iterator[int]:
    """Places to cut after `middle` and up to `last`, the best first."""
    prefixes, code = whole.of(Kind.PREFIX), whole.of(*BLOCKS_OF_CODE)
    for kind in (BLOCK, LINE, SENTENCE, WORD):
        found = [match.end() for match in kind.finditer(whole.text, max(start, middle - 1), last)]
        for at in reversed([at for at in found if middle < at]):
            is_in_code = kind in {BLOCK, SENTENCE} and any(span.start < at < span.end for span in code)
            if not is_in_code and not any(prefix.start < at <= prefix.end for prefix in prefixes):
                yield at
    characters = CHARACTER.finditer(whole.text, start, last + LONGEST_CHARACTER)
    yield from reversed([found.end() for found in characters if middle < found.end() <= last])


def _part(whole: FormattedText, start: int, end: int, most: int) -> FormattedText:
    """A part of a text, which stands by itself. The head of a table is repeated if it is a small part of `most`."""
    around = [span for span in whole.spans if span.start < start < span.end]
    code = next((span for span in around if span.kind in BLOCKS_OF_CODE), None)
    start, end = _trimmed(whole, start, end, is_code=code is not None)
    line = whole.text.rfind("\n", 0, start) + 1
    is_line = not whole.text[line:start].strip()
    part = FormattedText(text=whole.text[start:end], spans=tuple(_clipped(whole, start, end)))
    part = _at_margin(part, _indent(whole, line, code, is_line=is_line))
    quote = next((span for span in reversed(around) if span.kind is Kind.QUOTE), None)
    return _led(part, code or quote, start, is_line=is_line, max_head=most // 4)


def _trimmed(whole: FormattedText, start: int, end: int, *, is_code: bool) -> tuple[int, int]:
    """The range without white space and empty lines around it. Code keeps the indentation of its first line."""
    prefixes = whole.of(Kind.PREFIX)
    lines = {span.start: span.end for span in prefixes if not whole.text[span.start : span.end].strip(" >")}
    ends = {stop: begin for begin, stop in lines.items()}
    while start < end and (whole.text[start] == "\n" or (whole.text[start].isspace() and not is_code)):
        start += 1
    while start < end and whole.text[lines.get(start, end) : end].startswith("\n"):
        start = lines[start] + 1
    while start < end and (whole.text[end - 1].isspace() or end in ends):
        end = ends.get(end, end - 1)
    return start, max(start, end)


def _clipped(whole: FormattedText, start: int, end: int) -> Iterator[Span]:
    """The spans in a range, in offsets of the range. Formats begin after the prefix of a line."""
    prefixes = {span.start: span.end for span in whole.of(Kind.PREFIX)}
    for span in whole.spans:
        begin, stop = max(span.start, start), min(span.end, end)
        if begin > span.start and span.kind not in {Kind.PREFIX, Kind.QUOTE}:
            begin = prefixes.get(begin, begin)
        if begin < stop:
            yield replace(span, start=begin - start, end=stop - start)


def _indent(whole: FormattedText, line: int, code: Span | None, *, is_line: bool) -> int:
    """The indentation of lists around the beginning of a part that begins in the line at an offset, or within it."""
    prefix = next((whole.text[span.start : span.end] for span in whole.of(Kind.PREFIX) if span.start == line), "")
    if code and not is_line:
        prefix = code.prefix
    if is_line or prefix.lstrip().startswith(">"):
        return len(prefix) - len(prefix.lstrip(" "))
    return len(prefix)


def _at_margin(part: FormattedText, indent: int) -> FormattedText:
    """A part whose lines are moved to the left."""
    if not indent:
        return part

    def free(prefix: str) -> int:
        return min(indent, len(prefix) - len(prefix.lstrip(" ")))

    prefixes = [(span.start, part.text[span.start : span.end]) for span in part.of(Kind.PREFIX)]
    moved = part.replaced([(start, start + free(prefix), "") for start, prefix in prefixes])
    spans = tuple(replace(span, prefix=span.prefix[free(span.prefix) :]) for span in moved.spans)
    return replace(moved, spans=spans)


def _led(part: FormattedText, around: Span | None, start: int, *, is_line: bool, max_head: int) -> FormattedText:
    """A part with what it needs before it within a quote or code block: marks of the quote, a table's head."""
    block = next((span for span in part.spans if around and span.kind is around.kind), None)
    if around is None or block is None:
        return part
    is_headed = around.kind is Kind.TABLE and around.start + len(around.detail) < start
    head = block.detail.split("\n") if is_headed and len(block.detail) <= max_head else []
    mark = block.prefix if block.prefix.strip() else ""
    lead = "".join(f"{mark}{line}\n" for line in head) + mark * (not is_line)

    def begin(span: Span) -> int:
        if head and span is block:
            return len(mark)
        return 0 if span.kind is Kind.QUOTE and span.start == 0 else span.start + len(lead)

    lines = [0, *(found.end() for found in LINE.finditer(lead))][: len(head) + (not is_line)]
    marks = [Span(start=at, end=at + len(mark), kind=Kind.PREFIX) for at in lines if mark]
    moved = [replace(span, start=begin(span), end=span.end + len(lead)) for span in part.spans]
    spans = sorted([*marks, *moved], key=lambda span: (span.start, -span.end))
    return FormattedText(text=lead + part.text, spans=tuple(spans))
