"""Markdown for property tests: lines of every kind in any order, and marks in any order within them."""

import re

from hypothesis import strategies as st

from bots.markdown import FormattedText, Kind

MARKS = [
    "a",
    "B1",
    " ",
    " ",
    "*",
    "**",
    "_",
    "__",
    "~~",
    "`",
    "``",
    "[l](https://a.example)",
    "[",
    "](",
    "\\",
    "$",
    "<b>",
]
MARKS += [
    "&amp;",
    "：",
    "你好",
    "。",
    "!",
    "(",
    ")",
    "🎉",
    "#",
    "-",
    "1.",
    "|",
    "@",
    "x_y",
    "2*3*4",
    "https://b.example/_c_",
]
STARTS = ["", "", "", "- ", "  - ", "1. ", "3) ", "> ", "> > ", "# ", "    ", "   ", "- [ ] ", "+ "]
WHOLE = ["", "", "```", "~~~", "````", "---", "===", "$$", "\\[", "\\]", "  ```", "> ```", "***"]

inline = st.lists(st.sampled_from(MARKS), max_size=8).map("".join)
lines = st.one_of(st.builds(str.__add__, st.sampled_from(STARTS), inline), st.sampled_from(WHOLE))
INFO = re.compile(r"(?:```|~~~).*\w")
sources = st.lists(lines.filter(lambda line: not INFO.search(line)), max_size=10).map("\n".join)
"""Texts without tables, whose heads are repeated, and without info strings, which are not shown."""


def words(whole: FormattedText) -> str:
    """The text without white space and prefixes of lines."""
    hidden = {at for span in whole.of(Kind.PREFIX) for at in range(span.start, span.end)}
    return "".join(char for at, char in enumerate(whole.text) if at not in hidden and not char.isspace())
