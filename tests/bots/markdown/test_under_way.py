"""What is shown of an answer while it is being written."""

import pytest

from bots.markdown import Layout, laid_out, so_far


@pytest.mark.parametrize(
    ("markdown", "shown", "kept"),
    [
        ("one tw", "one tw", "one tw"),
        ("This is **bold so", "This is **bold so**", "This is "),
        ("This is **bold so ", "This is **bold so**", "This is "),
        ("This is **bold*", "This is **bold**", "This is "),
        ("**a** and *b", "**a** and *b*", "**a** and "),
        ("**a *b", "**a *b***", ""),
        ("~~a", "~~a~~", ""),
        ("use `x + ", "use `x +`", "use "),
        ("use ``x`", "use ``x``", "use "),
        ("see [the do", "see", "see"),
        ("see [the docs](https://a.ex", "see", "see"),
        ("see [the docs](https://a.example) for", "see [the docs](https://a.example) for", None),
        ("2 * 3 *", "2 * 3 ", None),
        ("x**2 + y", "x**2 + y", None),
        ("a\n- ", "a", None),
        ("a\n--", "a", None),
        ("a\n#", "a", None),
        ("a\n``", "a", None),
        ("**open\nnext", "**open\nnext", None),
        ("```py\nx = *1", "```py\nx = *1", "```py"),
        ("```py\nx\n``", "```py\nx", None),
        ("```py\nx\n```\na *b", "```py\nx\n```\na *b*", "```py\nx\n```\na "),
        ("a\n| b | c |", "a", None),
        ("a\n| b | c |\n|--", "a", None),
        ("| b | c |\n|---|---|\n| 1", "| b | c |\n|---|---|", None),
    ],
)
def test_what_is_open_is_closed_or_left_out(markdown: str, shown: str, kept: str | None) -> None:
    """Open formats are closed, or left out if nothing can be changed later; half-written marks and rows wait."""
    assert so_far(markdown) == shown
    assert so_far(markdown, can_change=False) == (shown if kept is None else kept)


ANSWER = """\
# Sorting

Use **`sorted`** for *any* iterable, see [the docs](https://a.example/sorted_(x)):

1. It returns a **new list**.
2. It takes `key=`:

   ```python
   sorted(names, key=str.lower)  # a * b

   ```

| Name | Cost |
|------|-----:|
| sort | 1 |

> Well ~~said~~ done, 2*3*4.
"""


def test_a_preview_is_stable() -> None:
    """No preview of an answer, whatever its length, shows marks that the whole answer does not show."""
    for end in range(len(ANSWER)):
        shown = laid_out(so_far(ANSWER[:end]), Layout()).text
        prose = shown.replace("2*3*4", "").replace("a * b", "").replace("2*3", "")
        assert not [mark for mark in ("**", "`", "~~", "](", "# S", "\n|") if mark in prose]


def test_what_is_kept_only_grows() -> None:
    """If nothing can be changed later, each preview begins with the one before it, up to a table."""
    shown = ""
    for end in range(ANSWER.index("|")):
        whole = laid_out(so_far(ANSWER[:end], can_change=False), Layout())
        words = whole.text[: whole.text.rfind(" ") + 1]
        assert words.startswith(shown)
        shown = words
