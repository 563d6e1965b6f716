"""The text of a PDF as Markdown: paragraphs of joined lines, and headings told by the size of their letters."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby, pairwise
from typing import Final

from pdfminer.high_level import extract_pages
from pdfminer.layout import LTChar, LTPage, LTTextContainer, LTTextLine

from core.language import HAN

PAGE_NUMBER: Final = re.compile(r"(?:page|seite|第)?\s*\d+\s*(?:(?:/|of|von|页)\s*\d*)?\s*页?", re.IGNORECASE)
EDGE: Final = 2
"""Lines at the top and at the bottom of a page that may be its head and foot."""
HYPHEN: Final = re.compile(r"(?<=[^\W\d_])-\n(?=[a-z])")
UNKNOWN: Final = re.compile(r"\(cid:\d+\)")
"""Stands for a letter of a font that does not say which one it is."""
LARGER: Final = 1.15
"""Size of a heading's letters, relative to those of most text."""
LONGEST_HEADING: Final = 120
"""Characters above which large text is a paragraph."""
LEVELS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """`size` is that of most of its letters, in points; 0 for the gap between two paragraphs."""

    size: float
    text: str


GAP: Final = _Line(size=0.0, text="")


def pdf_markdown(content: bytes) -> str:
    """Paragraphs with empty lines between them, without page numbers and the lines that each page repeats.

    Raises the errors of pdfminer.
    """
    pages = [list(_lines(page)) for page in extract_pages(BytesIO(content))]
    repeated = _repeated(pages)
    kept = [[line for line in page if line.text not in repeated] for page in pages]
    marks = _marks([line for page in kept for line in page])
    return "\n\n".join(paragraph for page in kept for paragraph in _paragraphs(page, marks))


def _lines(page: LTPage) -> Iterator[_Line]:
    for box in page:
        if isinstance(box, LTTextContainer):
            for line in box:
                text = UNKNOWN.sub("", line.get_text()).strip()
                if text and isinstance(line, LTTextLine) and not PAGE_NUMBER.fullmatch(text):
                    yield _Line(size=_size(line), text=text)
            yield GAP


def _size(line: LTTextLine) -> float:
    sizes = Counter(round(letter.size * 2) / 2 for letter in line if isinstance(letter, LTChar))
    return max(sizes, key=lambda size: sizes[size], default=1.0)


def _repeated(pages: Sequence[Sequence[_Line]]) -> frozenset[str]:
    """Lines at the edge of most of the pages, if there are a few pages: their heads and feet."""
    filled = ([line.text for line in page if line.text] for page in pages)
    counts = Counter(line for lines in filled for line in {*lines[:EDGE], *lines[-EDGE:]})
    return frozenset(line for line, count in counts.items() if count > max(2, len(pages) / 2))


def _marks(lines: Sequence[_Line]) -> dict[float, str]:
    """What stands before a heading in Markdown, for each size that headings have."""
    letters = Counter({0.0: 0})
    for line in lines:
        letters[line.size] += len(line.text)
    usual = max(letters, key=lambda size: letters[size])
    sizes = sorted((size for size in letters if size > usual * LARGER), reverse=True)
    return {size: "#" * min(level, LEVELS) + " " for level, size in enumerate(sizes, start=1)}


def _paragraphs(page: Sequence[_Line], marks: dict[float, str]) -> Iterator[str]:
    for size, lines in groupby(page, lambda line: line.size):
        if size:
            text = _unwrapped("\n".join(line.text for line in lines))
            yield f"{marks.get(size, '')}{text}" if len(text) <= LONGEST_HEADING else text


def _unwrapped(paragraph: str) -> str:
    """A paragraph on one line: a word that was cut by a hyphen is whole again, and Chinese gets no space."""
    lines = HYPHEN.sub("", paragraph).split("\n")
    joined = lines[0]
    for line, following in pairwise(lines):
        is_chinese = HAN.match(line[-1:]) and HAN.match(following[:1])
        joined += following if is_chinese else f" {following}"
    return joined
