"""Cutting formatted text into parts, each of which stands by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.markdown import FormattedText, Kind, Layout, Span, end_that_fits, laid_out, split
from tests.bots.markdown.sources import sources, words

SPANS_ONLY = Layout()
MARKED = Layout(bullet="- ", quote="> ", code_has_prefix=True)


def cut(markdown: str, most: int, layout: Layout = SPANS_ONLY) -> list[FormattedText]:
    return split(laid_out(markdown, layout), lambda part: len(part.text) <= most, most)


def texts(markdown: str, most: int, layout: Layout = SPANS_ONLY) -> list[str]:
    return [part.text for part in cut(markdown, most, layout)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 30 + "\n\n" + "b" * 8 + "\n" + "c" * 30, ["a" * 30, "b" * 8 + "\n" + "c" * 30]),
        ("a" * 30 + "\n" + "b b. " * 8, ["a" * 30, ("b b. " * 8).strip()]),
        ("It is so. " * 8, [("It is so. " * 4).strip()] * 2),
        ("甲" * 28 + "。" + "乙" * 28, ["甲" * 28 + "。", "乙" * 28]),
        ("甲" * 28 + "！”" + "乙" * 28, ["甲" * 28 + "！”", "乙" * 28]),
        ("a" * 30 + " " + "b" * 30, ["a" * 30, "b" * 30]),
        ("甲" * 28 + "，" + "乙" * 28, ["甲" * 28 + "，", "乙" * 28]),
    ],
)
def test_a_part_ends_at_the_best_break(text: str, parts: list[str]) -> None:
    """A part ends in its second half at a block, else at a line, a sentence or a word, in Chinese too."""
    assert texts(text, 45) == parts


@pytest.mark.parametrize("character", ["👨‍👩‍👧‍👦", "🇩🇪", "é̂", "👍🏽", "각", "क्षि"])
def test_no_character_is_cut(character: str) -> None:
    """A character of many code points, such as a family of emoji, stays whole."""
    parts = texts(character * 60, 50)
    assert "".join(parts) == character * 60
    assert all(part == character * (len(part) // len(character)) for part in parts)


def test_a_number_is_no_sentence() -> None:
    """The number of a list item stays with its item."""
    assert not [part for part in texts("\n".join(f"{n}. " + "word " * 7 for n in range(1, 30)), 100) if part[-1] == "."]


def test_code_keeps_its_indentation() -> None:
    """Each part of a code block is a code block, and its first line is indented as it was."""
    lines = ["def f(x):", *(f"    x += {number}" for number in range(30)), "    return x"]
    parts = cut("```py\n" + "\n".join(lines) + "\n```", 100)
    assert "\n".join(part.text for part in parts) == "\n".join(lines)
    assert {part.spans for part in parts} == {
        (Span(start=0, end=len(part.text), kind=Kind.PRE, detail="py"),) for part in parts
    }


def test_code_is_not_cut_at_blank_lines_before_other_text() -> None:
    """A blank line within code is an ordinary line; one between blocks is the better break."""
    assert texts("a" * 30 + "\n\n```\nb\n\n" + "c" * 20 + "\n```", 50) == ["a" * 30, "b\n\n" + "c" * 20]


def test_a_table_repeats_its_head() -> None:
    """Each part of a table begins with the header and the rule, and no row is lost or doubled."""
    rows = [f"| {number} | row {number} |" for number in range(40)]
    parts = texts("| Name | Qty |\n|---|---|\n" + "\n".join(rows), 120)
    assert len(parts) > 5
    assert {tuple(part.split("\n")[:2]) for part in parts} == {("Name | Qty", "-----|-------")}
    assert [line for part in parts for line in part.split("\n")[2:]] == [f"{n:<4} | row {n}" for n in range(40)]


def test_formats_go_on_in_the_next_part() -> None:
    """Bold and a quote that are cut are bold and a quote in both parts."""
    for part in cut("> **" + "word " * 30 + "end**", 60):
        assert {(span.start, span.end, span.kind) for span in part.spans} == {
            (0, len(part.text), Kind.QUOTE),
            (0, len(part.text), Kind.BOLD),
        }


def test_marks_of_a_quote_are_repeated() -> None:
    """If quotes have marks, a part that begins within a line of a quote has one too."""
    parts = cut("> **" + "word " * 30 + "end**", 60, MARKED)
    assert len(parts) > 2
    for part in parts:
        assert part.text.startswith("> ")
        assert [span.start for span in part.of(Kind.BOLD)] == [2]


def test_lists_in_the_middle_are_moved_to_the_margin() -> None:
    """A part that begins with nested items begins at the margin, so that they are not taken for indented code."""
    items = ["- a", "  - b", "    - c", *["      - d"] * 9, "  - e"]
    *_, last = texts("\n".join(items), 60, MARKED)
    assert last == "\n".join([*["- d"] * 5, "- e"])


def test_the_last_part_is_not_an_emoji_alone() -> None:
    """The last part has some words too, whatever the length of a text."""
    for length in range(90, 110):
        *_, last = texts("x" * length + " 😊", 100)
        assert last.strip(" 😊")
        *_, last = texts(f"```\n{'x' * length}\n```\n\n😊", 100)
        assert last.strip(" \n😊")


@settings(max_examples=60, deadline=None)
@given(sources, st.integers(20, 60))
def test_parts_fit_and_rejoin(markdown: str, most: int) -> None:
    """The parts of any text fit, are not empty, and are together the whole text but for white space."""
    parts = cut(markdown, most)
    assert all(0 < len(part.text) <= most for part in parts)
    assert "".join(map(words, parts)) == words(laid_out(markdown, Layout()))
    for part in parts:
        assert all(0 <= span.start < span.end <= len(part.text) for span in part.spans)


@settings(max_examples=30, deadline=None)
@given(sources, st.integers(20, 60))
def test_the_end_that_fits_is_an_end(markdown: str, most: int) -> None:
    """The end of any text fits, and is an end of it."""
    whole = laid_out(markdown, Layout())
    end = end_that_fits(whole, lambda part: len(part.text) <= most, most)
    assert len(end.text) <= most
    assert words(whole).endswith(words(end))
