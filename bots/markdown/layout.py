"""Lays out the tree of a Markdown text as formatted text, the same way for all platforms.

A line of the source is a line of the text: models mean their line breaks, soft ones too. Blank lines stay where the
source has them, so that the beginning of an answer looks the same while its end is still being written.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from markdown_it.tree import SyntaxTreeNode as Node

from bots.markdown.dialect import parse
from bots.markdown.formatted import FormattedText, Kind, Span
from bots.markdown.table import columns, words_of

LANGUAGE = re.compile(r"[\w+#.-]{1,40}(?![\w+#.-])")
RULE = "———"
LISTS = {"bullet_list", "ordered_list"}
CODE = {"fence", "code_block"}
WITHIN_LINES = {Kind.BOLD, Kind.ITALIC, Kind.STRIKE, Kind.LINK}
STYLES = {"strong": Kind.BOLD, "em": Kind.ITALIC, "s": Kind.STRIKE}
NESTED_QUOTE = "> "


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a platform wants to see at the beginning of lines.

    `quote` is empty if quotes are spans only, without a mark. Code blocks have the prefix of the list and quote around
    them if `code_has_prefix`.
    """

    bullet: str = "• "
    quote: str = ""
    code_has_prefix: bool = False


def laid_out(markdown: str, layout: Layout) -> FormattedText:
    """A Markdown text as people read it. Empty if it holds no words."""
    page = _Page(layout)
    page.blocks(parse(markdown).children)
    return page.finished()


class _Page:
    """The text written so far. `_prefix` begins the next line."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._pieces: list[str] = []
        self._length = 0
        self._spans: list[Span] = []
        self._open: list[Kind] = []
        self._prefix = ""

    def finished(self) -> FormattedText:
        text = "".join(self._pieces)
        prefixes = {span.start: span.end for span in self._spans if span.kind is Kind.PREFIX}
        tight = (_tight(span, text, prefixes) if span.kind in WITHIN_LINES else span for span in self._spans)
        spans = sorted((span for span in tight if span.start < span.end), key=lambda span: (span.start, -span.end))
        return FormattedText(text=text, spans=tuple(spans))

    def blocks(self, nodes: Sequence[Node]) -> None:
        before = None
        for node in filter(_has_words, nodes):
            if before is not None:
                is_bare = node.type in CODE | {"table"} and not self._layout.code_has_prefix
                self._new_line(blank=_is_apart(node, before), is_bare=is_bare)
            self._block(node)
            before = node

    def _block(self, node: Node) -> None:
        match node.type:
            case "heading":
                with self._span(Kind.BOLD):
                    self._inline(node)
            case "bullet_list" | "ordered_list":
                self._list(node)
            case "blockquote":
                self._quote(node)
            case "fence" | "code_block":
                language = LANGUAGE.match(node.info.strip())
                self._code(node.content.removesuffix("\n"), Kind.PRE, language[0] if language else "")
            case "table":
                table = columns(node)
                self._code("\n".join([*table.head, *table.rows]), Kind.TABLE, "\n".join(table.head))
            case "hr":
                self._write(RULE)
            case "maths_block":
                self._lines(node.content)
            case _:
                self._inline(node)

    def _list(self, node: Node) -> None:
        before = None
        for item in node.children:
            if before is not None:
                self._new_line(blank=_comes_after_blank(item, before))
            marker = f"{item.info}{item.markup} " if node.type == "ordered_list" else self._layout.bullet
            self._write(marker, Kind.PREFIX)
            with self._prefixed(self._prefix + " " * len(marker)):
                self.blocks(item.children)
            before = item

    def _quote(self, node: Node) -> None:
        mark = self._layout.quote or (NESTED_QUOTE if Kind.QUOTE in self._open else "")
        with self._prefixed(self._prefix + mark), self._span(Kind.QUOTE, prefix=self._prefix):
            self._write(mark, Kind.PREFIX)
            self.blocks(node.children)

    def _code(self, content: str, kind: Kind, detail: str) -> None:
        prefix = self._prefix if self._layout.code_has_prefix else ""
        with self._prefixed(prefix), self._span(kind, detail, prefix):
            self._lines(content)

    def _lines(self, content: str) -> None:
        first, *others = content.split("\n")
        self._write(first)
        for line in others:
            self._new_line(is_bare=not line)
            self._write(line)

    def _inline(self, node: Node) -> None:
        for child in node.children:
            match child.type:
                case "softbreak" | "hardbreak":
                    self._new_line()
                case "code_inline":
                    with self._span(Kind.CODE):
                        self._write(child.content)
                case "strong" | "em" | "s":
                    with self._span(STYLES[child.type]):
                        self._inline(child)
                case "link":
                    with self._span(Kind.LINK, address := str(child.attrs["href"])):
                        self._inline(child) if words_of(child) else self._write(address)
                case "image":
                    with self._span(Kind.LINK, address := str(child.attrs["src"])):
                        self._write(words_of(child) or address)
                case "inline":
                    self._inline(child)
                case _:
                    self._write(child.content)

    def _new_line(self, *, blank: bool = False, is_bare: bool = False) -> None:
        """Begin a line with its prefix, after a blank one if wanted. A bare line has no white space in its prefix."""
        for is_last in (False, True)[not blank :]:
            self._write("\n")
            self._write(self._prefix if is_last and not is_bare else self._prefix.rstrip(), Kind.PREFIX)

    def _write(self, text: str, kind: Kind | None = None) -> None:
        start = self._length
        self._pieces.append(text)
        self._length += len(text)
        if not kind or not text:
            return
        if self._spans and (self._spans[-1].kind, self._spans[-1].end) == (kind, start):  # indentation before a bullet
            start = self._spans.pop().start
        self._spans.append(Span(start=start, end=self._length, kind=kind))

    @contextmanager
    def _span(self, kind: Kind, detail: str = "", prefix: str = "") -> Iterator[None]:
        """Format what is written. Bold within bold, for example, is bold once."""
        start, number = self._length, len(self._spans)  # the outer one of equal spans is first
        is_new = kind is Kind.QUOTE or kind not in self._open
        self._open.append(kind)
        yield
        self._open.pop()
        if is_new and start < self._length:
            span = Span(start=start, end=self._length, kind=kind, detail=detail, prefix=prefix)
            self._spans.insert(number, span)

    @contextmanager
    def _prefixed(self, prefix: str) -> Iterator[None]:
        before, self._prefix = self._prefix, prefix
        yield
        self._prefix = before


def _tight(span: Span, text: str, prefixes: Mapping[int, int]) -> Span:
    """A span without the white space at its edges, which a hard line break within its marks leaves there."""
    start, end = span.start, span.end
    while start < end and (text[start].isspace() or start in prefixes):
        start = prefixes.get(start, start + 1)
    while start < end and text[end - 1].isspace():
        end -= 1
    return replace(span, start=start, end=end)


def _has_words(node: Node) -> bool:
    """Whether a block shows anything. Empty code blocks, quotes and headings do not."""
    if node.type in CODE:
        return bool(node.content.strip())
    if node.type in {"hr", "table", "maths_block"} | LISTS:
        return True
    return any(map(_has_words, node.children)) if node.type == "blockquote" else bool(node.children[0].children)


def _is_apart(node: Node, before: Node) -> bool:
    """Whether a blank line is between two blocks: if the source has one, or a line would be taken for a part of the
    block before it.
    """
    if before.type in LISTS | {"blockquote"} or (
        node.type in LISTS and before.type in {"heading", "hr", "maths_block"}
    ):
        return True
    return _comes_after_blank(node, before)


def _comes_after_blank(node: Node, before: Node) -> bool:
    return node.map is not None and node.map[0] > _last_line(before)


def _last_line(node: Node) -> int:
    """The number of the line after a block. A list's own range includes the blank lines after it."""
    blocks = [child for child in node.children if child.map and child.type != "inline"]
    return _last_line(blocks[-1]) if blocks else (node.map or (0, 0))[1]
