"""Where "*" and "_" begin and end emphasis: CommonMark's rules, but for two kinds of text that models write.

CommonMark wants a space after "**注意：**", which Chinese has not, and takes "2*3*4" and "x**2 + y**2" for emphasis.
"""

import re
import unicodedata

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

SPECIAL_NAME = re.compile(
    r"__(?:\w{1,64}__(?=\.\w|[(\[])|(?:init|main|name|file|all|doc|dict|class|call|new|del|str|repr|len|iter|next|eq|hash"
    r"|enter|exit|getitem|setitem|getattr|setattr|slots|version|future|module|path)__(?!\w))"
)
"""Names of Python, such as "__init__"; any of that form if code goes on after it."""


def plugin(dialect: MarkdownIt) -> None:
    dialect.inline.ruler.at("emphasis", _tokenize)


def _tokenize(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  the library's signature
    """Push each mark of a run as a token, and note whether the run may open or close emphasis."""
    mark = state.src[state.pos]
    if silent or mark not in "*_":
        return False
    if name := SPECIAL_NAME.match(state.src, state.pos):
        state.append_pending(name[0])
        state.pos = name.end()
        return True
    end = state.pos
    while end < state.posMax and state.src[end] == mark:
        end += 1
    opens, closes = _role(mark, state.src[state.pos - 1 : state.pos] or " ", state.src[end : end + 1] or " ")
    for _ in range(length := end - state.pos):
        state.push("text", "", 0).content = mark
        state.delimiters.append(
            Delimiter(marker=ord(mark), length=length, token=len(state.tokens) - 1, end=-1, open=opens, close=closes)
        )
    state.pos = end
    return True


def _role(mark: str, before: str, after: str) -> tuple[bool, bool]:
    """Whether a run of marks between two characters may open, and close, emphasis."""
    is_free = mark == "*" and (_is_wide(before) or _is_wide(after))
    is_left = not after.isspace() and (not _is_punctuation(after) or _bounds(before) or is_free)
    is_right = not before.isspace() and (not _is_punctuation(before) or _bounds(after) or is_free)
    if mark == "_":
        return is_left and (not is_right or _is_punctuation(before)), is_right and (
            not is_left or _is_punctuation(after)
        )
    is_operator = _is_operand(before, ")]}") and _is_operand(after, "([{")
    return is_left and not is_operator, is_right and not (is_operator and after.isdigit())


def _bounds(char: str) -> bool:
    return char.isspace() or _is_punctuation(char)


def _is_operand(char: str, brackets: str) -> bool:
    return char in brackets or (char.isalnum() and not _is_wide(char))


def _is_punctuation(char: str) -> bool:
    return isMdAsciiPunct(ord(char)) or isPunctChar(char)


def _is_wide(char: str) -> bool:
    """Whether a character is of Chinese, Japanese or Korean, which write without spaces, punctuation included."""
    return unicodedata.east_asian_width(char) in "WF" and unicodedata.category(char) != "So"
