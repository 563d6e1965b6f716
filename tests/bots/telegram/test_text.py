"""Formatting and splitting of replies for Telegram."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.telegram.text import LIMIT, FormattedText, Mark, ending, from_markdown, split, units, without_mentions


def marks(whole: FormattedText) -> list[tuple[str, str]]:
    return [(mark.kind, whole.text[mark.start : mark.end]) for mark in whole.marks]


@pytest.mark.parametrize(
    ("markdown", "text", "found"),
    [
        ("plain", "plain", []),
        ("a `b` c", "a b c", [("code", "b")]),
        ("**bold** 你好", "bold 你好", [("bold", "bold")]),
        ("x\n```python\nprint(1)\n```\ny", "x\nprint(1)\ny", [("pre", "print(1)")]),
        ("```\nnever closed", "never closed", [("pre", "never closed")]),
        ("```py\n**not bold** `nor code`\n```", "**not bold** `nor code`", [("pre", "**not bold** `nor code`")]),
        ("``a`` `b`", "``a`` b", [("code", "b")]),
        ("half **open and `open", "half **open and `open", []),
        ("2 ** 3 ** 4", "2 ** 3 ** 4", []),
        ("snake_case *star* [x](y) <b>", "snake_case *star* [x](y) <b>", []),
        ("```\n```", "```\n```", []),
        ("  ", "…", []),
    ],
)
def test_a_little_markdown_becomes_marks(markdown: str, text: str, found: list[tuple[str, str]]) -> None:
    """Code blocks, code and bold are formatted; other markup stays as text, and the result is never empty."""
    whole = from_markdown(markdown)
    assert (whole.text, marks(whole)) == (text, found)


def test_marks_are_counted_in_utf16() -> None:
    """Entities count an emoji as two UTF-16 code units."""
    entity = from_markdown("🎉 `x🎉`").entities()[0]
    assert (entity.offset, entity.length) == (3, 3)


def test_the_language_of_a_code_block_is_kept() -> None:
    """The language of a code block is kept, since Telegram highlights by it."""
    assert from_markdown("```rust\nfn\n```").entities()[0].language == "rust"


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 8192, 8193, 40_000])
@pytest.mark.parametrize("unit", ["x", "🎉", "你", "word "])
def test_parts_fit_and_nothing_is_lost(size: int, unit: str) -> None:
    """All parts together are the text, at every length around the limit in UTF-16 code units."""
    text = (unit * size).strip()
    parts = split(from_markdown(text))
    assert all(0 < units(part.text) <= LIMIT for part in parts)
    assert "".join(part.text for part in parts).replace(" ", "") == text.replace(" ", "")


def test_parts_end_with_a_paragraph_where_there_is_one() -> None:
    """A part ends in its second half at a paragraph if there is one, else at a line, else at a word."""
    text = "a" * 3000 + "\n\n" + "b" * 500 + "\n" + "c" * 2000
    assert [len(part.text) for part in split(from_markdown(text))] == [3000, 2501]


def test_a_code_block_goes_on_in_the_next_part() -> None:
    """Both halves of a code block that is cut are code."""
    parts = split(from_markdown("```py\n" + "x = 1\n" * 1000 + "```"))
    assert len(parts) == 2
    for part in parts:
        (entity,) = part.entities()
        assert (entity.type, entity.offset, entity.length) == ("pre", 0, units(part.text))


@given(st.text(st.sampled_from("ab 🎉\n`*你"), max_size=60), st.integers(4, 12))
def test_marks_stay_within_their_part(text: str, limit: int) -> None:
    """No span reaches beyond its part, and no part has white space around it."""
    for part in split(from_markdown(text), limit):
        assert part.text == part.text.strip() != ""
        assert units(part.text) <= limit
        for entity in part.entities():
            assert entity.length > 0
            assert 0 <= entity.offset <= entity.offset + entity.length <= units(part.text)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("hi", "hi 😊"),
        ("- a\n- `b`", "- a\n- b 😊"),
        ("```\nx\n```", "x\n😊"),
        ("```py\r\nx\r\n```  \r\n", "x\n😊"),
        ("```\nnever closed", "never closed\n😊"),
        ("~~~\nx\n~~~", "~~~\nx\n~~~\n😊"),
        ("1. a\n   ```\n   x\n   ```", "1. a\n   ```\n   x\n   ```\n😊"),
        ("a:\n\n    x = 1", "a:\n\n    x = 1\n😊"),
        ("> quoted\nto the end", "> quoted\nto the end\n😊"),
        ("> quoted\n\nsaid", "> quoted\n\nsaid 😊"),
        ("| a |\n|---|\n| 1 |", "| a |\n|---|\n| 1 |\n😊"),
    ],
)
def test_a_mood_stands_outside_of_blocks(markdown: str, text: str) -> None:
    """The mood follows after a space, or on a new line after code, a quote or a table."""
    whole = from_markdown(markdown).followed_by("😊")
    assert whole.text == text
    assert all(mark.end <= len(text) - 2 for mark in whole.marks)


def test_names_are_not_called() -> None:
    """Names in a reply notify no one in a group; e-mail addresses stay unchanged."""
    assert without_mentions("@all and (@ann), not a@b.example") == "@\u2060all and (@\u2060ann), not a@b.example"


@given(st.text(max_size=50), st.integers(2, 20))
def test_the_end_of_a_long_text_fits(text: str, limit: int) -> None:
    """A preview shows the end of a long text, within the limit."""
    assert units(ending(text, limit)) <= limit


def test_a_mark_across_a_cut_is_in_both_parts() -> None:
    """A span across a cut is in both parts, in offsets of each part."""
    whole = FormattedText(text="x" * 8 + "y" * 8, marks=(Mark(start=6, end=16, kind="bold"),))
    shares = [(entity.offset, entity.length) for part in split(whole, 10) for entity in part.entities()]
    assert shares == [(6, 4), (0, 6)]
