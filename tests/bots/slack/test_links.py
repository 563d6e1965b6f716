"""Links, which are broken up while a message cannot be told to preview none."""

import re

import pytest

from bots.slack.links import has_link, without_links
from bots.slack.rendering import WORD_JOINER, from_markdown, markdown
from tests.fakes.slack.journal import LINK

LINKS = (
    "https://a.example/x?y=z",
    "http://127.0.0.1/",
    "a.example",
    "www.a.io",
    "me@mail.example",
    "evil.py/x",
    "a.b.md",
)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("around", ["see {}.", "({})", "**{}**", "- {}", "。{}。", "[{}](https://b.cn)"])
def test_links_are_taken_apart(link: str, around: str) -> None:
    """A text with a link is known to have one, and has none once it is broken; its visible characters stay."""
    whole = from_markdown(around.format(link))
    broken = without_links(whole)
    assert has_link(whole)
    assert not LINK.search(markdown(broken))
    assert broken.text.replace(WORD_JOINER, "") == whole.text


@pytest.mark.parametrize("around", ["`{}`", "```\n{}\n```"])
def test_addresses_in_code_are_broken_visibly(around: str) -> None:
    """Code with an address counts as a link too; it holds no invisible character, even while it grows."""
    whole = from_markdown(around.format("curl https://a.example/x"))
    broken = without_links(whole)
    assert has_link(whole)
    assert not LINK.search(broken.text)
    assert WORD_JOINER not in broken.text
    assert re.sub(r"\s", "", broken.text) == re.sub(r"\s", "", whole.text)


@pytest.mark.parametrize(
    "text",
    [
        "Yes. No.",
        "e.g. this, i.e. that",
        "at 3.14 or 10:30",
        "a: b // c",
        "好。走",
        "...",
        "Use the file setup.py in Node.js please",
        "README.md, src/app.py, ./run.sh, app.test.ts, package.json, 用setup.py吧",
        "`os.path.join` and\n```\nnp.array(x)\n```",
    ],
)
def test_what_is_no_link(text: str) -> None:
    """Numbers, abbreviations, ends of sentences, names of files and names in code are no links."""
    assert not has_link(from_markdown(text))


@pytest.mark.parametrize("text", ["Use the file setup.py in Node.js please", "`os.path.join`", "```\nnp.array(x)\n```"])
def test_names_stay_as_they_are(text: str) -> None:
    """Names of files, and names in code, are not broken."""
    whole = from_markdown(text)
    assert without_links(whole) == whole
