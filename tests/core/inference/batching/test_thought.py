"""Think blocks are hidden, and nothing else is."""

import pytest

from core.inference.batching.thought import ThoughtFilter


def shown(text: str, size: int) -> str:
    """What is shown of a text that arrives in pieces of `size` characters."""
    thought = ThoughtFilter()
    pieces = [thought.feed(text[start : start + size]) for start in range(0, len(text), size)]
    return "".join(pieces) + thought.close()


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>\n\n</think>\n\nHello", "Hello"),
        ("\n<think>Hm, <b>\n</think>Hello </think>", "Hello </think>"),
        ("<think>one</think>\n<think>two</think>\nHello", "Hello"),
        ("<think>cut off by the limit", ""),
        ("<think>only a thought</think>\n", ""),
    ],
)
def test_a_leading_think_block_is_hidden(text: str, expected: str, size: int) -> None:
    """A think block before the first word is not shown, with the white space after it, whole or cut off."""
    assert shown(text, size) == expected


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("text", ["Hello", " \n Hello", "<thin", "<b>", "", " ", "The tag <think>is</think> unusual."])
def test_other_text_is_shown_unchanged(text: str, size: int) -> None:
    """A reply that does not begin with a think block is shown to the last character."""
    assert shown(text, size) == text


def test_text_is_shown_at_once() -> None:
    """Nothing is held back once the reply has begun otherwise."""
    thought = ThoughtFilter()
    assert [thought.feed("<t"), thought.feed("d>"), thought.feed("<think>")] == ["", "<td>", "<think>"]
