"""Documents as sections of a size that a small model can read. A section is its path of headings, and its text."""

import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

TARGET = 700
"""Characters at which a section is full; it grows to this if its blocks allow it."""
LONGEST = 2 * TARGET
"""Characters above which a single block is split."""
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
EMPTY_LINES = re.compile(r"\n\s*\n")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|\n")
TABLE_HEAD = 2
"""Lines of a table that belong to all its rows: names of the columns, and the rule below."""


def markdown_sections(text: str) -> Iterator[tuple[str, str]]:
    """Sections below the headings of a Markdown document; tables and code stay whole as far as they can."""
    source = FRONT_MATTER.sub("", text)
    lines = source.split("\n")
    path: list[tuple[int, str]] = []
    blocks: list[str] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(source)
    for index, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        if token.type == "heading_open":
            yield from _under(path, blocks)
            level = int(token.tag[1:])
            path = [*(above for above in path if above[0] < level), (level, _visible(tokens[index + 1].content))]
            blocks = []
        else:
            blocks += _pieces(token, "\n".join(lines[slice(*token.map)]).strip("\n"))
    yield from _under(path, blocks)


def text_sections(text: str) -> Iterator[tuple[str, str]]:
    """Sections of a plain text, from paragraphs with empty lines between them."""
    paragraphs = (paragraph.strip() for paragraph in EMPTY_LINES.split(text))
    return _under([], [piece for paragraph in paragraphs if paragraph for piece in _sentences(paragraph)])


def _under(path: list[tuple[int, str]], blocks: Iterable[str]) -> Iterator[tuple[str, str]]:
    heading = " > ".join(title for _, title in path if title)
    return ((heading, section) for section in _packed(blocks, "\n\n"))


def _packed(blocks: Iterable[str], between: str) -> Iterator[str]:
    """Neighbouring blocks joined until a section is full."""
    section = ""
    for block in blocks:
        if section and len(section) + len(block) > TARGET:
            yield section
            section = ""
        section = f"{section}{between}{block}" if section else block
    if section:
        yield section


def _pieces(token: Token, source: str) -> list[str]:
    """A block's source, split if it is too long. Comments in HTML are no text that people see."""
    if token.type in {"fence", "code_block"}:
        return list(_packed(source.split("\n"), "\n")) if len(source) > LONGEST else [source]
    visible = _visible(source)
    if token.type == "table_open" and len(visible) > LONGEST:
        head, *rows = _table(visible)
        return [f"{head}\n{part}" for part in _packed(rows, "\n")]
    return list(_sentences(visible)) if visible else []


def _table(source: str) -> list[str]:
    lines = source.split("\n")
    return ["\n".join(lines[:TABLE_HEAD]), *lines[TABLE_HEAD:]]


def _sentences(block: str) -> Iterator[str]:
    """The block itself, or groups of its sentences if it is too long. A sentence without an end is cut."""
    if len(block) <= LONGEST:
        return iter([block])
    sentences = (sentence for sentence in SENTENCE_END.split(block) if sentence)
    cut = (sentence[at : at + LONGEST] for sentence in sentences for at in range(0, len(sentence), LONGEST))
    return _packed(cut, " ")


def _visible(source: str) -> str:
    return COMMENT.sub("", source).strip()
