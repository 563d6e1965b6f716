"""Markdown as people read it: the text, and which parts of it are formatted how."""

import pytest
from hypothesis import given, settings

from bots.markdown import FormattedText, Kind, Layout, laid_out
from tests.bots.markdown.sources import sources

SPANS_ONLY = Layout()
MARKED = Layout(bullet="- ", quote="> ", code_has_prefix=True)


def read(markdown: str, layout: Layout = SPANS_ONLY) -> tuple[str, list[tuple[str, str]]]:
    """The text and its spans, without prefixes."""
    whole = laid_out(markdown, layout)
    spans = [span for span in whole.spans if span.kind is not Kind.PREFIX]
    return whole.text, [(str(span.kind), whole.text[span.start : span.end]) for span in spans]


@pytest.mark.parametrize(
    ("markdown", "text", "spans"),
    [
        ("plain", "plain", []),
        ("# Title\ntext", "Title\ntext", [("bold", "Title")]),
        ("Title\n=====\n\ntext", "Title\n\ntext", [("bold", "Title")]),
        ("## A **b** `c`", "A b c", [("bold", "A b c"), ("code", "c")]),
        ("**b** __b__ *i* _i_ ~~s~~", "b b i i s", [("bold", "b")] * 2 + [("italic", "i")] * 2 + [("strike", "s")]),
        ("***both***", "both", [("italic", "both"), ("bold", "both")]),
        ("a `b` ``c`d`` ` e ` ```f```", "a b c`d e f", [("code", "b"), ("code", "c`d"), ("code", "e"), ("code", "f")]),
        ("one\ntwo  \nthree\\\nfour", "one\ntwo\nthree\nfour", []),
        ("a\n\n\n\nb", "a\n\nb", []),
        ("a\n\n---\n\nb", "a\n\n———\n\nb", []),
        ("> q\n> r\n\ns", "q\nr\n\ns", [("quote", "q\nr")]),
        ("> q\n>\n>> r", "q\n\n> r", [("quote", "q\n\n> r"), ("quote", "> r")]),
        ("**`c`**", "c", [("bold", "c"), ("code", "c")]),
        ("- a\n- b\n  - c\n    d\n- e", "• a\n• b\n  • c\n    d\n• e", []),
        ("- a\n\n- b\n\n  c", "• a\n\n• b\n\n  c", []),
        ("3. c\n4. d\n   - e\n10) j", "3. c\n4. d\n   • e\n\n10) j", []),
        ("- [ ] open\n- [x] done", "• [ ] open\n• [x] done", []),
        ("", "", []),
        ("```\n```", "", []),
    ],
)
def test_blocks_and_marks_become_spans(markdown: str, text: str, spans: list[tuple[str, str]]) -> None:
    """Every line of the source is a line, blocks are apart where the source has a blank line, and marks are gone."""
    assert read(markdown) == (text, spans)


@pytest.mark.parametrize(
    "markdown",
    [
        "```py\nx = 1\n\ny\n```",
        "~~~py\nx = 1\n\ny\n~~~",
        "````py title=a\nx = 1\n\ny\n`````",
        "  ```py\n  x = 1\n\n  y\n  ```",
        "```py\nx = 1\n\ny",
        "- ```py\n  x = 1\n\n  y\n  ```",
        "1. ~~~ py\n   x = 1\n\n   y\n   ~~~",
        "> ```py\n> x = 1\n>\n> y\n> ```",
    ],
)
def test_a_fence_of_any_form_is_code(markdown: str) -> None:
    """Fences of backticks and tildes, with any info string, open or closed, in lists and quotes, hold the same code."""
    whole = laid_out(markdown, Layout())
    (code,) = whole.of(Kind.PRE)
    assert (whole.text[code.start : code.end], code.detail) == ("x = 1\n\ny", "py")


def test_code_is_as_it_is_written() -> None:
    """Indented code, and marks and entities in code, stay as they are."""
    assert read("    if a < b:\n        **c**") == ("if a < b:\n    **c**", [("pre", "if a < b:\n    **c**")])
    assert read("a\n~~~\n&lt; `b` **c**\n```\n~~~") == ("a\n&lt; `b` **c**\n```", [("pre", "&lt; `b` **c**\n```")])


@pytest.mark.parametrize(
    "text",
    [
        "x**2 + y**2 = z**2; area a**2",
        "2*3*4 and (x+1)*(y+2)*(z+3)",
        "2 ** 3 ** 4, *p = *q, f(*args, **kwargs)",
        "snake_case_name __init__ __main__.py obj.__dict__.keys()",
        "$a_b$ and $x*y*z$ and \\( a_1 * b_1 \\) and \\(open",
        "$$\nx_1 = {a*b*c}\n$$",
        "\\[\nx\n=\n\\frac{a}{b} \\\\\ny\n\\]",
        "\\begin{align}\na &= b_1 \\\\\nc &= d_1\n\\end{align}",
        "<b>bold</b> <br> &amp; &nbsp; <div>\n<p>x</p>",
        "[x](tg://user?id=1) ![y](data:image/png;base64,AA) <tg://user?id=1> [z](javascript:a)",
        "[1]: a.example 'title'",
        "half **open and `open and [open](",
        "setup.py README.md docs/README.md",
        "a | b\nc | d",
    ],
)
def test_what_is_no_markup_stays(text: str) -> None:
    """Operators, names of code, maths, HTML, unsafe links and marks without a partner are shown as they are written."""
    assert read(text) == (text, [])


def test_prices_are_no_maths() -> None:
    """Dollars before numbers do not keep marks from being read."""
    assert read("$5 **and** $6") == ("$5 and $6", [("bold", "and")])


def test_chinese_needs_no_spaces_around_marks() -> None:
    """Bold that begins or ends with Chinese punctuation is bold, though CommonMark wants a space there."""
    assert read("请看**注意：**这是**“重点”**内容。") == (
        "请看注意：这是“重点”内容。",
        [("bold", "注意："), ("bold", "“重点”")],
    )


@pytest.mark.parametrize(
    ("markdown", "text", "link", "address"),
    [
        ("[docs](https://a.example/x_y)", "docs", "docs", "https://a.example/x_y"),
        ("[](https://a.example)", "https://a.example", "https://a.example", "https://a.example"),
        ("![a logo](https://a.example/l.png)", "a logo", "a logo", "https://a.example/l.png"),
        ("<https://a.example>", "https://a.example", "https://a.example", "https://a.example"),
        ("(https://a.example/_b_*c*).", "(https://a.example/_b_*c*).", "https://a.example/_b_*c", None),
        ("**https://a.example/b(c)**", "https://a.example/b(c)", "https://a.example/b(c)", None),
        ("见https://a.example/b。好", "见https://a.example/b。好", "https://a.example/b", None),
    ],
)
def test_links_have_a_label_and_an_address(markdown: str, text: str, link: str, address: str | None) -> None:
    """A link shows its label, an image its description, and a bare address itself, whatever signs it has."""
    whole = laid_out(markdown, Layout())
    (found,) = whole.of(Kind.LINK)
    assert (whole.text, whole.text[found.start : found.end], found.detail) == (text, link, address or link)


def test_a_table_is_aligned() -> None:
    """Columns are as wide as their widest cell, a Chinese character counts two, and cells keep their words."""
    markdown = "| Name | 数量 | c |\n|---|--:|:-:|\n| **你好** | 7 | `x` |\n| b | 10,000 | [l](https://a.example) |"
    assert read(markdown)[0].split("\n") == [
        "Name |   数量 |           c",
        "-----|--------|----------------------",
        "你好 |      7 |           x",
        "b    | 10,000 | l (https://a.example)",
    ]


@pytest.mark.parametrize("cell", ["ab", "中", "✅", "⚠️", "👨‍👩‍👧", "🇩🇪", "e\u0301f"])
def test_emoji_and_composed_characters_keep_columns_aligned(cell: str) -> None:
    """An emoji counts two, be it of several characters, and a letter with an accent counts one."""
    text, _ = read(f"| {cell} | b |\n|---|---|\n| cd | e |")
    assert text.split("\n") == [f"{cell} | b", "---|--", "cd | e"]


def test_a_platform_may_want_marks() -> None:
    """With marks of quotes and prefixes of code each line of a block shows where it belongs."""
    text, _ = read("> a\n> - b\n>   ```\n>   c\n>\n>   d\n>   ```\n\n1. e\n\n       f\n       g", MARKED)
    assert text == "> a\n> - b\n>   c\n>\n>   d\n\n1. e\n\n   f\n   g"


@settings(max_examples=60, deadline=None)
@given(sources)
def test_nothing_is_lost(markdown: str) -> None:
    """Every letter and number of a text is shown, or is the address of a link that is."""
    whole = laid_out(markdown, Layout())
    links = [link for link in whole.of(Kind.LINK) if link.detail != whole.text[link.start : link.end]]
    shown = whole.replaced([(link.end, link.end, link.detail) for link in links]).text
    assert [char for char in shown if char.isalnum()] == [char for char in markdown if char.isalnum()]


@settings(max_examples=60, deadline=None)
@given(sources)
def test_spans_nest(markdown: str) -> None:
    """Spans are within the text, not empty, in order, and overlap only if one holds the other."""
    whole: FormattedText = laid_out(markdown, Layout())
    for number, span in enumerate(whole.spans):
        assert 0 <= span.start < span.end <= len(whole.text)
        for other in whole.spans[number + 1 :]:
            assert (span.start, -span.end) <= (other.start, -other.end)
            assert other.start >= span.end or other.end <= span.end
