"""An emoji at the end of Markdown, compared with what CommonMark makes of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bots.markdown import ends_in_words, followed_by

READER = MarkdownIt("commonmark", {"html": False}).enable("table")


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "two\nlines",
        "- a\n- b",
        "1. a\n\n   b",
        "see `x`",
        "**bold**",
        "an open `span",
        "```x```",
        "```\nx\n```\nand so",
        "> quoted\n\nsaid",
        "| a |\n|---|\n| 1 |\n\nso",
        "    code\n\nso",
        "# Title\ntext",
    ],
)
def test_text_goes_on_in_its_line(text: str) -> None:
    """The emoji follows ordinary text after a space, also in a list."""
    assert ends_in_words(text)
    assert followed_by(text + " \n", "😊") == f"{text} 😊"


@pytest.mark.parametrize(
    "text",
    [
        "```\nx\n```",
        "```python\nx\n```   ",
        "Look:\r\n\r\n```python\r\nx\r\n```\r\n",
        "~~~\nx\n~~~",
        "~~~~\n~~~\nx\n~~~~",
        "````md\n```\nx\n```\n````",
        "1. a\n   ```\n   x\n   ```",
        "- a\n  - b\n    ```\n    x\n    ```",
        "    x = 1",
        "a:\n\n\tx = 1",
        "- a\n\n      x = 1",
        "> quoted",
        "> quoted\nto the end",
        "> - quoted",
        "- > quoted",
        "> ```\n> x\n> ```",
        "> ```\n> x",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "| a | b |\n|---|---|",
        "| a | b |",
        "| 1 | 2 |\n| 3 | 4 |",
        "a | b\n--|--\n1 | 2\nlast",
        "# Title",
        "Title\n=====",
        "a\n\n---",
        "see [a]\n\n[a]: https://a.example",
        "see\n\n[a]:",
        "[a]: https://a.example\n[b]:",
        "a\n*",
        "- a\n  +",
        "a\n1.",
    ],
)
def test_the_emoji_stands_apart_after_a_block(text: str) -> None:
    """After code, a quote, a table, a heading or a rule the emoji is a paragraph of its own; the rest is unchanged."""
    whole = followed_by(text, "😊")
    assert not ends_in_words(text)
    assert whole == text.replace("\r\n", "\n").rstrip() + "\n\n😊"
    assert READER.render(whole).endswith("<p>😊</p>\n")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("```\nx", "```\nx\n```\n\n😊"),
        ("```python", "```python\n```\n\n😊"),
        ("~~~\nx\n```", "~~~\nx\n```\n~~~\n\n😊"),
        ("````\n```\nx\n```", "````\n```\nx\n```\n````\n\n😊"),
        ("1. a\n   ```\n   x", "1. a\n   ```\n   x\n   ```\n\n😊"),
        ("- ```\r\n  x", "- ```\n  x\n  ```\n\n😊"),
    ],
)
def test_an_open_code_block_is_closed(text: str, whole: str) -> None:
    """A code block that the reply left open ends before the emoji."""
    assert followed_by(text, "😊") == whole


LINES = [
    "",
    "a",
    "> a",
    "    a",
    "```",
    "````",
    "~~~",
    "- a",
    "- ```",
    "  ```",
    "|a|b|",
    "|-|-|",
    "a|b",
    "# a",
    "---",
    "`",
    "*",
    "1.",
    "[a]:",
    "[a]: b",
]


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_the_emoji_is_never_swallowed(lines: list[str], end: str) -> None:
    """Whatever a reply ends in, the emoji is at the end of a paragraph, outside of quotes, code and tables."""
    rendered = READER.render(followed_by(end.join(lines), "😊"))
    assert rendered.count("😊") == 1
    before, after = rendered.split("😊")
    assert re.fullmatch(r"(</p>)?(\s|</li>|</[ou]l>)*", after)
    assert not any(
        before.count(f"<{tag}>") > before.count(f"</{tag}>") for tag in ("blockquote", "pre", "code", "table")
    )
