"""Formatted text in Slack's Markdown, compared with what CommonMark reads in it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bots.markdown import FormattedText, Kind
from bots.slack.forms import parts_of
from bots.slack.rendering import WORD_JOINER, from_markdown, markdown, plain
from bots.slack.text import escaped
from tests.bots.markdown.sources import sources, words
from tests.fakes.slack.journal import MENTION

READER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").disable("reference")
STYLES = {"strong": "bold", "em": "italic", "s": "strike"}
PINGS = ("<!channel>", "<!here>", "<!everyone|all>", "<@U1>", "<!subteam^S1>", "<#C1>")


def read(text: str) -> list[tuple[str, set[str]]]:
    """The visible characters of Markdown and their styles, as CommonMark has them. It knows no bare links."""
    found: list[tuple[str, set[str]]] = []
    for block in READER.parse(text):
        found += [(char, {"pre"}) for char in block.content if block.type in {"fence", "code_block"}]
        styles: list[str] = []
        for token in block.children or ():
            if style := STYLES.get(token.tag):
                styles = [*styles, style] if token.nesting > 0 else [other for other in styles if other != style]
            code = {"code"} if token.type == "code_inline" else set()
            found += [(char, {*styles, *code}) for char in token.content]
    return [(char, styles) for char, styles in found if not char.isspace() and char != WORD_JOINER]


def meant(whole: FormattedText) -> list[tuple[str, set[str]]]:
    """The same of formatted text."""
    ours = {Kind.BOLD, Kind.ITALIC, Kind.STRIKE, Kind.CODE, Kind.PRE}
    hidden = {at for span in whole.of(Kind.PREFIX) for at in range(span.start, span.end)}
    spans = whole.of(*ours)
    return [
        (char, {str(span.kind) for span in spans if span.start <= at < span.end})
        for at, char in enumerate(whole.text)
        if at not in hidden and not char.isspace()
    ]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("# Title\ntext", "**Title**  \ntext"),
        ("**b** *i* ~~s~~ `c`", "**b** *i* ~~s~~ `c`"),
        ("one\ntwo", "one  \ntwo"),
        ("- a\n- b\n  - c\n\n3. d", "- a\n- b\n  - c\n\n3. d"),
        ("a\n1. b", "a\n\n1. b"),
        ("a\n\n1. b", "a\n\n1. b"),
        ("> a\n>\n> 1. b", "> a\n>\n> 1. b"),
        ("- [ ] open", "- [ ] open"),
        ("> a\n> b", "> a  \n> b"),
        ("a\n\n---", "a\n\n———"),
        ("[docs](https://a.example/?b=1&c=(d))", "[docs](https://a.example/?b=1&amp;c=%28d%29)"),
        ("![a](https://a.example/b.png)", "[a](https://a.example/b.png)"),
        (
            "~~~python\nif a < b & c:\n    pass\n~~~\n\n    x <y> & z",
            "```python\nif a < b & c:\n    pass\n```\n\n```\nx <y> & z\n```",
        ),
        ("````\n```\n````", "````\n```\n````"),
        ("1. a\n   ```\n   x\n   ```", "1. a\n   ```\n   x\n   ```"),
        ("> ```\n> x\n> ```", "> ```\n> x\n> ```"),
        ("`` a`b ``", "``a`b``"),
        ("| Name | Qty |\n|---|--:|\n| **nut** | 7 |", "```\nName | Qty\n-----|----\nnut  |   7\n```"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("a\\*b\\*", "a\\*b\\*"),
        ("1\\. no list\n\\- no\n\\# no\n\\> no", "1\\. no list  \n\\- no  \n\\# no  \n&gt; no"),
        ("snake_case_name", "snake_case_name"),
        ("**注意：**请", f"**注意：{WORD_JOINER}**请"),
        ("setup.py in Node.js", "setup.py in Node.js"),
        ("```\n```", "…"),
    ],
)
def test_slack_gets_the_markdown_that_it_shows(source: str, shown: str) -> None:
    """Headings are bold, tables and all forms of code are fenced, line breaks are hard, and signs are escaped."""
    assert markdown(from_markdown(source)) == shown


def test_a_list_goes_on_after_a_cut() -> None:
    """Items after one that was cut are items still, since a number above one cannot follow a line of text."""
    *_, last = parts_of(from_markdown("1. " + "word " * 70 + "\n2. two\n3. three"), 200)
    assert markdown(last).endswith("word\n\n2. two\n3. three")


def test_plain_text_names_addresses() -> None:
    """Plain text is the whole text without marks, with the address of a link after its label."""
    source = "# **Hi**\n\n> a\n\n- `b` [c](https://a.example) https://b.example\n\n|d|\n|-|\n|e|"
    whole = "Hi\n\n> a\n\n- b c (https://a.example) https://b.example\n\nd\n-\ne"
    assert plain(from_markdown(source)) == whole


@pytest.mark.parametrize("ping", PINGS)
@pytest.mark.parametrize(
    "around", ["{}", "`{}`", "```\n{}\n```", "```\n{}", "- ~~~\n  x {}\n  ~~~", "a `b {} `c`", "``{}``", "|{}|\n|-|"]
)
def test_nothing_pings(ping: str, around: str) -> None:
    """No mention survives in code or elsewhere; its characters are shown as they are, without an invisible one."""
    whole = from_markdown(around.format(ping))
    for said in (markdown(whole), escaped(plain(whole))):
        assert not MENTION.search(said)
        assert not re.search("<[@!#]", said)
        assert WORD_JOINER not in said
    if "|" not in around + ping:
        assert ping.replace("<", "&lt;") in markdown(whole)


@pytest.mark.parametrize(
    "code", ["<!DOCTYPE html>", "<!-- note -->", "List<@Override>", "#include <stdio.h>", "@dataclass"]
)
def test_code_is_unchanged(code: str) -> None:
    """Code that only looks like a mention is code, without any change."""
    assert markdown(from_markdown(f"`{code}`\n```\n{code}\n```")) == f"`{code}`\n```\n{code}\n```"


@settings(max_examples=80, deadline=None)
@given(sources)
def test_slack_reads_what_is_meant(source: str) -> None:
    """CommonMark reads the same characters in the same styles, whatever signs a text has."""
    whole = from_markdown(source)
    assert read(markdown(whole)) == meant(whole)


@settings(max_examples=50, deadline=None)
@given(sources, st.integers(120, 200))
def test_parts_fit_and_stand_by_themselves(source: str, size: int) -> None:
    """Each part of a text is within the limit as Markdown and as plain text, and reads as it is meant."""
    whole = from_markdown(source)
    parts = parts_of(whole, size)
    assert "".join(map(words, parts)) == words(whole)
    for part in parts:
        assert max(len(markdown(part)), len(escaped(plain(part)))) <= size
        assert read(markdown(part)) == meant(part)
