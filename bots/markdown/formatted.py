"""Formatted text: what people read, and which parts of it are formatted how."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """The formats of a span.

    `TABLE` is a code block of aligned columns. `PREFIX` is what a block adds to the beginning of a line: indentation,
    marks of quotes, the bullet or number of a list item.
    """

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
    LINK = "link"
    PRE = "pre"
    TABLE = "table"
    QUOTE = "quote"
    PREFIX = "prefix"


BLOCKS_OF_CODE = {Kind.PRE, Kind.TABLE}
VERBATIM = {Kind.CODE, *BLOCKS_OF_CODE}
"""Formats whose text is copied and run, so it stays exactly as the model wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a text, in Python's offsets.

    `detail` is the address of a link, the language of a code block, or the head of a table, which each of its parts
    repeats. `prefix` begins each further line of a quote or code block; it is part of the text.
    """

    start: int
    end: int
    kind: Kind
    detail: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedText:
    """A text and its spans, in order of their start, the outer one first. They nest and do not overlap otherwise."""

    text: str
    spans: tuple[Span, ...] = ()

    def of(self, *kinds: Kind) -> list[Span]:
        return [span for span in self.spans if span.kind in kinds]

    def outside(self, *kinds: Kind) -> Iterable[tuple[int, int]]:
        """The ranges of the text that no span of some kinds covers."""
        at = 0
        for span in self.of(*kinds):
            if at < span.start:
                yield at, span.start
            at = max(at, span.end)
        if at < len(self.text):
            yield at, len(self.text)

    def replaced(self, edits: Sequence[tuple[int, int, str]]) -> "FormattedText":
        """The text after some edits: ranges that do not overlap, in order, and the words for each.

        A span that begins or ends at an insertion does not include it.
        """
        pieces, at = [], 0
        starts, ends = [edit[0] for edit in edits], [edit[1] for edit in edits]
        growth = [0]
        for start, end, words in edits:
            pieces += [self.text[at:start], words]
            growth.append(growth[-1] + len(words) - (end - start))
            at = end

        def begin(offset: int) -> int:
            number = bisect_right(starts, offset)
            return max(offset, ends[number - 1] if number else 0) + growth[number]

        def close(offset: int) -> int:
            number = bisect_left(ends, offset)
            cut = starts[number] if number < len(starts) else offset
            return min(offset, cut) + growth[number]

        moved = (replace(span, start=begin(span.start), end=close(span.end)) for span in self.spans)
        kept = tuple(span for span in moved if span.start < span.end)
        return FormattedText(text="".join([*pieces, self.text[at:]]), spans=kept)
