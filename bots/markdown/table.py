"""A table as aligned columns of text, for a font in which all characters have the same width."""

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

import regex
from markdown_it.tree import SyntaxTreeNode as Node

CHARACTER = regex.compile(r"\X")
EMOJI_STYLE = "\ufe0f"
"""The character that makes the one before it an emoji."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The lines of a table; `head` is its header and the rule below."""

    head: Sequence[str]
    rows: Sequence[str]


def columns(table: Node) -> Table:
    """A table with columns as wide as their widest cell. It is Markdown still, so that it can be copied."""
    rows = [row for part in table.children for row in part.children]
    cells = [[words_of(cell) for cell in row.children] for row in rows]
    sides = [_side(cell) for cell in rows[0].children]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    header, *others = [_line(row, widths, sides) for row in cells]
    return Table(head=(header, "-|-".join("-" * max(width, 1) for width in widths)), rows=others)


def words_of(node: Node) -> str:
    """The words of some inline Markdown without formatting. The address of a link follows it in brackets."""
    if node.type in {"softbreak", "hardbreak"}:
        return " "
    if not node.children:
        return node.content
    words = "".join(map(words_of, node.children))
    address = str(node.attrs["href"]) if node.type == "link" else ""
    return f"{words} ({address})" if words and address and address != words else words or address


def _side(cell: Node) -> str:
    return str(cell.attrs.get("style", "")).removeprefix("text-align:")


def _line(row: Sequence[str], widths: Sequence[int], sides: Sequence[str]) -> str:
    return " | ".join(map(_padded, row, widths, sides)).rstrip()


def _padded(cell: str, width: int, side: str) -> str:
    free = width - _width(cell)
    left = {"right": free, "center": free // 2}.get(side, 0)
    return " " * left + cell + " " * (free - left)


def _width(cell: str) -> int:
    """Columns of a terminal that a cell takes: two for a character of Chinese, Japanese or Korean, and for an emoji."""
    return sum(1 + any(_is_wide(char) for char in whole) for whole in CHARACTER.findall(cell))


def _is_wide(char: str) -> bool:
    return east_asian_width(char) in "WF" or char == EMOJI_STYLE or "\U0001f1e6" <= char <= "\U0001f1ff"  # flags
