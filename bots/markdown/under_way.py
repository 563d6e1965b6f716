"""An answer that is still being written, as Markdown that can be shown: what is open at its end is closed or left out.

So a preview shows no marks that turn into formatting a moment later.
"""

import re

from bots.markdown.ending import closing_fence

TRAILING = "*_~"
HEAD = re.compile(r"(?:\A|\n)(?<!\|\n)[ >]*\|[^\n]*\Z")
"""The first row of what may become a table."""
ROW = re.compile(r"[ >]*\|")
MARKER, NUMBER = re.compile(r"[ >]*+[-+*=_`~#|:]*+[ ]*+"), re.compile(r"[ >]*+\d{1,9}[.)]?[ ]*+")
"""A line that may still become a list item, a heading, a rule or a fence."""
TICKS = re.compile(r"`+")
OPENING = re.compile(r"\*{1,3}|~~|_{1,3}|`+|!?\[")
LINK = re.compile(r"!?\[[^\]]*\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)|(?!\(|$))")


def so_far(markdown: str, *, can_change: bool = True) -> str:
    """What to show of an answer that ends with `markdown` for now.

    Formats that are open are closed. If what is shown cannot be changed later, they are left out, as is the last line
    of code.
    """
    before, end, line = markdown.rpartition("\n")
    if closing_fence(before):
        return before if set(line.strip()) <= set("`~") or not can_change else markdown
    if MARKER.fullmatch(line) or ROW.match(line) or (before and NUMBER.fullmatch(line)):
        return HEAD.sub("", before)
    return before + end + _settled(line.rstrip(TRAILING), can_change=can_change)


def _settled(line: str, *, can_change: bool) -> str:
    opened: list[tuple[str, int]] = []
    at = 0
    while found := OPENING.search(line, at):
        mark, start = found[0], found.start()
        at = found.end()
        if mark.endswith("["):
            link = LINK.match(line, start)
            if link is None:  # its address is not known yet
                line = line[:start].rstrip()
                break
            at = link.end()
        elif mark.startswith("`"):
            code = next((ticks for ticks in TICKS.finditer(line, at) if ticks[0] == mark), None)
            if code is None:
                opened.append((mark, start))
                line = line[:at] + line[at:].rstrip("`")
                break
            at = code.end()
        elif opened and opened[-1][0] == mark and not line[start - 1].isspace():
            opened.pop()
        elif _can_open(line[:start][-1:], line[at : at + 1]):
            opened.append((mark, start))
    if opened and not can_change:
        return line[: opened[0][1]]
    while opened and not line[opened[-1][1] :].strip(f"{opened[-1][0]} "):
        line = line[: opened.pop()[1]]
    return (line.rstrip() if opened else line) + "".join(mark for mark, _ in reversed(opened))


def _can_open(before: str, after: str) -> bool:
    return bool(after) and not after.isspace() and not (before.isascii() and before.isalnum())
