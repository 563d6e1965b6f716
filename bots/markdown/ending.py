"""Adds an emoji or a paragraph to the end of Markdown, outside of code, quotes and tables."""

import re
from itertools import takewhile

from markdown_it import MarkdownIt

from bots.markdown import maths

BLOCKS = MarkdownIt("commonmark", {"html": False}).enable("table").disable("inline").use(maths.plugin)
LISTS = {"list_item_close", "bullet_list_close", "ordered_list_close"}
RETURN = re.compile(r"\r\n?")
MARKUP = re.compile(r"[\\`*_\[\]<>~|$]")


def followed_by(text: str, ending: str) -> str:
    """Markdown with `ending` after it: on the last line if that is ordinary text, else in a paragraph of its own.

    A code block that is left open is closed first.
    """
    text = RETURN.sub("\n", text.rstrip())
    if ends_in_words(text):
        return f"{text} {ending}"
    return f"{text}{closing_fence(text)}\n\n{ending}"


def with_paragraph(text: str, words: str) -> str:
    """Markdown with words after it in a paragraph of their own, in which nothing is markup."""
    text = RETURN.sub("\n", text.rstrip())
    plain = MARKUP.sub(r"\\\g<0>", words)
    return f"{text}{closing_fence(text)}\n\n{plain}"


def ends_in_words(text: str) -> bool:
    """Whether the last line of Markdown is text of a paragraph, perhaps in a list, and still is with a word after it.

    A word makes "[a]:" the definition of a link, which is not shown, and "*" an item of a list. "|" may be part of a
    table's row.
    """
    text = RETURN.sub("\n", text.rstrip())
    blocks = BLOCKS.parse(text)
    closed = [block.type for block in takewhile(lambda block: block.nesting < 0, reversed(blocks))]
    if closed[-1:] != ["paragraph_close"] or not LISTS.issuperset(closed[:-1]):
        return False
    goes_on = len(BLOCKS.parse(f"{text} word")) == len(blocks)
    return goes_on and "|" not in text.rpartition("\n")[2]


def closing_fence(text: str) -> str:
    """The line that closes the code block at the end, with the line break before it; empty if none is open."""
    blocks = BLOCKS.parse(text)
    last = next((block for block in reversed(blocks) if block.nesting >= 0), None)
    if last is None or last.type != "fence" or last.map is None:
        return ""
    indent = text.split("\n")[last.map[0]].index(last.markup)
    closing = f"\n{' ' * indent}{last.markup}"
    # it begins another block if there is nothing to close
    return closing if len(BLOCKS.parse(text + closing)) == len(blocks) else ""
