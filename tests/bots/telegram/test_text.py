"""How replies become Telegram's texts."""

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
    """Code blocks, code and bold; everything else is text as it stands, and never an error or nothing."""
    whole = from_markdown(markdown)
    assert (whole.text, marks(whole)) == (text, found)


def test_marks_are_counted_in_utf16() -> None:
    """An emoji before a mark is two units to Telegram."""
    entity = from_markdown("🎉 `x🎉`").entities()[0]
    assert (entity.offset, entity.length) == (3, 3)


def test_the_language_of_a_code_block_is_kept() -> None:
    """Telegram colours code by it."""
    assert from_markdown("```rust\nfn\n```").entities()[0].language == "rust"


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 8192, 8193, 40_000])
@pytest.mark.parametrize("unit", ["x", "🎉", "你", "word "])
def test_parts_fit_and_nothing_is_lost(size: int, unit: str) -> None:
    """At every length around the limit, counted in UTF-16, all parts together are the text."""
    text = (unit * size).strip()
    parts = split(from_markdown(text))
    assert all(0 < units(part.text) <= LIMIT for part in parts)
    assert "".join(part.text for part in parts).replace(" ", "") == text.replace(" ", "")


def test_parts_end_with_a_paragraph_where_there_is_one() -> None:
    """A break is looked for in the second half of what fits: paragraphs before lines before words."""
    text = "a" * 3000 + "\n\n" + "b" * 500 + "\n" + "c" * 2000
    assert [len(part.text) for part in split(from_markdown(text))] == [3000, 2501]


def test_a_code_block_goes_on_in_the_next_part() -> None:
    """Cut in the middle, both halves are code."""
    parts = split(from_markdown("```py\n" + "x = 1\n" * 1000 + "```"))
    assert len(parts) == 2
    for part in parts:
        (entity,) = part.entities()
        assert (entity.type, entity.offset, entity.length) == ("pre", 0, units(part.text))


@given(st.text(st.sampled_from("ab 🎉\n`*你"), max_size=60), st.integers(4, 12))
def test_marks_stay_within_their_part(text: str, limit: int) -> None:
    """Whatever is cut wherever, Telegram finds no mark beyond the end, and no space around the text."""
    for part in split(from_markdown(text), limit):
        assert part.text == part.text.strip() != ""
        assert units(part.text) <= limit
        for entity in part.entities():
            assert entity.length > 0
            assert 0 <= entity.offset <= entity.offset + entity.length <= units(part.text)


def test_a_mood_stands_after_the_code() -> None:
    """On a line of its own after a block of code, behind a space otherwise."""
    assert from_markdown("hi").followed_by("😊").text == "hi 😊"
    assert from_markdown("```\nx\n```").followed_by("😊").text == "x\n😊"


def test_names_are_not_called() -> None:
    """What the model writes notifies nobody in a group; an address stays one."""
    assert without_mentions("@all and (@ann), not a@b.example") == "@\u2060all and (@\u2060ann), not a@b.example"


@given(st.text(max_size=50), st.integers(2, 20))
def test_the_end_of_a_long_text_fits(text: str, limit: int) -> None:
    """A preview shows the newest words, within the limit."""
    assert units(ending(text, limit)) <= limit


def test_a_mark_across_a_cut_is_in_both_parts() -> None:
    """Each part has its own share of it, counted from its own beginning."""
    whole = FormattedText(text="x" * 8 + "y" * 8, marks=(Mark(start=6, end=16, kind="bold"),))
    shares = [(entity.offset, entity.length) for part in split(whole, 10) for entity in part.entities()]
    assert shares == [(6, 4), (0, 6)]
