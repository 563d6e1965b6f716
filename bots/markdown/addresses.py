"""Addresses: those that may be linked to, and those that stand in a text without markup, as "https://a.example/_b_"."""

import html
import re
from itertools import accumulate

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

SCHEME, LONGEST_SCHEME = re.compile(r"(?<![a-z])https?$", re.IGNORECASE), len("https")
TRAILING = ".,;:!?'*_~"
SAFE = ("https://", "http://", "mailto:")
"""Links to other schemes are shown as they are written: "tg://user?id=1" would notify a person."""
MAX_ADDRESS = 1_000
"""Escaped characters of an address that is linked to. A part of a message repeats the whole address of a link."""
REST = re.compile(rf"""://[^\s<>"`\\{{}}|^\[\]\x7f-\U0010ffff]{{1,{MAX_ADDRESS}}}""")
BARE = "bare"
"""The markup of such a link's token."""


def plugin(dialect: MarkdownIt) -> None:
    dialect.inline.ruler.after("text", "address", _tokenize)


def is_safe(url: str) -> bool:
    """Whether a link may lead to an address."""
    return url.lower().startswith(SAFE) and len(html.escape(url)) <= MAX_ADDRESS


def _tokenize(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  the library's signature
    if silent or state.src[state.pos] != ":" or state.linkLevel > 0:
        return False
    scheme = SCHEME.search(state.pending, max(0, len(state.pending) - LONGEST_SCHEME))
    rest = scheme and REST.match(state.src, state.pos, state.posMax)
    if scheme is None or rest is None or not is_safe(address := _trimmed(scheme[0] + rest[0])):
        return False
    state.pending = state.pending[: scheme.start()]
    opening = state.push("link_open", "a", 1)
    opening.attrs, opening.markup = {"href": address}, BARE
    state.push("text", "", 0).content = address
    state.push("link_close", "a", -1).markup = BARE
    state.pos += len(address) - len(scheme[0])
    return True


def _trimmed(address: str) -> str:
    """The address up to a bracket that closes another's, without marks of sentences; empty if there is no host."""
    depths = accumulate((char == "(") - (char == ")") for char in address)
    end = next((at for at, depth in enumerate(depths) if depth < 0), len(address))
    trimmed = address[:end].rstrip(TRAILING)
    return "" if trimmed.endswith(("://", ":")) else trimmed
