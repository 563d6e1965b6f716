"""HTML of answers can do nothing to the page that shows it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.markdown import as_html

TAG = re.compile(r"<(/?)([a-z0-9]+)([^<>]*)>")
ALLOWED = frozenset(
    "p br hr a em strong s code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 table thead tbody tr th td".split()  # noqa: SIM905
)
ATTRIBUTE = re.compile(
    r' (?:href="(?:https?|mailto):[^"]*"|rel="[a-z ]+"|target="_blank"|class="(?:language-[^"]*|left|right|center)"'
    r'|start="\d+")'
)
HOSTILE = st.lists(
    st.sampled_from(
        [
            "<script>",
            "</p>",
            "<img src=x onerror=alert(1)>",
            "[a](",
            "javascript:alert(1)",
            ")",
            "![",
            "](",
            '"',
            "'",
            "`",
            "```",
            "\n",
            "|",
            "---",
            "&lt;",
            "https://a.example",
            "<",
            ">",
            "x",
        ]
    ),
    max_size=20,
).map("".join)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**a** & <b>", "<p><strong>a</strong> &amp; &lt;b&gt;</p>\n"),
        ("![cat](https://a.example/c.png)", "<p>cat</p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        ("```py\n<i>\n```", '<pre><code class="language-py">&lt;i&gt;\n</code></pre>\n'),
        ("$$\na<b\n$$", "<pre>$$\na&lt;b\n$$</pre>\n"),
    ],
)
def test_only_what_is_harmless_becomes_markup(markdown: str, html: str) -> None:
    """HTML stays text, pictures are named, other schemes are no links."""
    assert as_html(markdown) == html


def test_a_link_tells_its_owner_nothing() -> None:
    """It opens beside the page, and names no referrer."""
    assert 'rel="noopener noreferrer nofollow" target="_blank"' in as_html("see https://a.example/")


@given(HOSTILE)
def test_any_text_becomes_harmless_html(markdown: str) -> None:
    """There are known tags with known attributes, and nothing else in angle brackets."""
    html = as_html(markdown)
    for _, name, attributes in TAG.findall(html):
        assert name in ALLOWED
        assert ATTRIBUTE.sub("", attributes).strip(" /") == ""
    assert "<" not in TAG.sub("", html)
