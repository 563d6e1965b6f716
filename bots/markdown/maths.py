r"""Maths in LaTeX stays as it is written: "$a_b$", "\( x \)", "$$...$$", "\[...\]", "\begin{...}...\end{...}"."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

INLINE = re.compile(
    r"\\\((?:(?!\\[()]).){1,1000}+\\\)|\\\[(?:(?!\\[\[\]]).){1,1000}+\\\]|\$\$[^$]+?\$\$"
    r"|\$(?![\s$])[^$\n`]*?(?<![\s\\])\$(?!\w)"  # "$5 and $6" are prices
    r"|\\[()\[\]]",  # one that has no partner yet: the answer may be under way
    re.DOTALL,
)
OPENING = re.compile(r"\$\$|\\\[|\\begin\{(\w+\*?)\}")
MAX_LINES = 100
CLOSING = {"$$": "$$", "\\[": "\\]"}


def plugin(dialect: MarkdownIt) -> None:
    dialect.inline.ruler.before("escape", "maths", _inline)
    dialect.block.ruler.before("fence", "maths_block", _block, {"alt": ["paragraph", "blockquote", "list"]})


def _inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  the library's signature
    if state.src[state.pos] not in "$\\":
        return False
    found = INLINE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("text_special", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _block(state: StateBlock, first: int, end: int, silent: bool) -> bool:  # noqa: FBT001  the library's signature
    """Lines from one that begins with an opening mark to one that ends with its closing mark, without a blank one."""
    opening = OPENING.match(_line(state, first))
    if opening is None or state.is_code_block(first):
        return False
    closing = CLOSING.get(opening[0], f"\\end{{{opening[1]}}}")
    for number in range(first, min(end, first + MAX_LINES)):
        if state.isEmpty(number):
            return False
        line = _line(state, number)[opening.end() if number == first else 0 :]
        if line.endswith(closing):
            break
        if number == first and closing in line:  # maths at the beginning of a paragraph
            return False
    else:
        return False
    if not silent:
        state.line = number + 1
        token = state.push("maths_block", "", 0)
        token.content = "\n".join(_line(state, each) for each in range(first, state.line))
        token.map = [first, state.line]
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()
