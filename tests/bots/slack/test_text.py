import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.slack.text import CODE, WORD_JOINER, escaped, has_link, markdown, split, without_links
from tests.fakes.slack.journal import LINK, MENTION

PINGS = ("<!channel>", "<!here>", "<!everyone|all>", "<@U1>", "<!subteam^S1>", "<#C1>")


@pytest.mark.parametrize("ping", PINGS)
@pytest.mark.parametrize("around", ["{}", "`{}`", "```\n{}\n```", "```{}", "a `b {} `c`", "\\`{}\\`", "``{}``"])
def test_nothing_pings(ping: str, around: str) -> None:
    """No mention survives, in closed or open code or outside of it."""
    for said in (markdown(around.format(ping)), escaped(around.format(ping))):
        assert not MENTION.search(said)
        assert not re.search("<[@!#]", said)


def test_code_keeps_its_signs() -> None:
    """Code is unchanged, except for an invisible character in a mention."""
    code = "`a < b && c` and ```#include <stdio.h>```"
    assert markdown(code) == code
    assert markdown("`<@U1>`") == f"`<{WORD_JOINER}@U1>`"
    assert markdown("> 1 < 2 & 3") == "> 1 &lt; 2 &amp; 3"


@given(st.text(alphabet="ab <>&@!#`\n。U", max_size=200), st.integers(20, 60))
def test_parts_fit_and_lose_nothing(text: str, limit: int) -> None:
    """Each escaped part is within the limit, and the parts together hold the whole text."""
    parts = split(text, limit)
    said = re.sub(r"\s|`", "", "".join(parts))
    if "```" not in text:
        assert all(len(escaped(part)) <= limit for part in parts)
        assert said == re.sub(r"\s|`", "", text)


def test_code_block_goes_on_in_the_next_part() -> None:
    """A code block that is cut is closed, and reopened with its language."""
    text = "look:\n```python\n" + "x = 1\n" * 40 + "```\nand so on"
    parts = split(text, 120)
    assert all(part.count("```") % 2 == 0 for part in parts)
    assert parts[1].startswith("```python\nx = 1")
    assert all(len(escaped(part)) <= 120 for part in parts)


def test_parts_end_at_a_paragraph_where_they_can() -> None:
    """A part ends at the best break in its second half."""
    assert split("a" * 30 + "\n\n" + "b" * 30, 50) == ("a" * 30, "b" * 30)
    assert split("甲" * 30 + "。" + "乙" * 30, 50) == ("甲" * 30 + "。", "乙" * 30)


def test_code_is_found() -> None:
    """A fence that is not closed is code up to the end."""
    assert CODE.split("a `b` ```c")[1::2] == ["`b`", "```c"]


LINKS = (
    "https://a.example/x?y=z",
    "http://127.0.0.1/",
    "a.example",
    "www.a.io",
    "[a](https://b.cn)",
    "me@mail.example",
)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("around", ["see {}.", "({})", "`{}`", "```\n{}\n```", "。{}。"])
def test_links_are_taken_apart(link: str, around: str) -> None:
    """No prefix of a text holds a link, and its visible characters are unchanged."""
    text = around.format(link)
    assert has_link(text)
    for end in range(len(text) + 1):
        shown = markdown(without_links(text[:end]))
        assert not LINK.search(shown)
        assert shown.replace(WORD_JOINER, "") == markdown(text[:end])


@pytest.mark.parametrize("text", ["Yes. No.", "e.g. this, i.e. that", "at 3.14 or 10:30", "a: b // c", "好。走", "..."])
def test_what_is_no_link(text: str) -> None:
    """Numbers, abbreviations and ends of sentences are not taken for links."""
    assert not has_link(text)
