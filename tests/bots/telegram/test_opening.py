"""The first sentence, which notifications show."""

import pytest

from bots.telegram.opening import LONGEST, MORE, has_opening, opening


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The capital of France is Paris. It lies on the Seine.", "The capital of France is Paris."),
        ("Yes. Whales are mammals. They breathe air.", "Yes. Whales are mammals."),
        ("Version 3.11 of Python is fine! Use it.", "Version 3.11 of Python is fine!"),
        ('She said: "I am not going there." Then she left.', 'She said: "I am not going there."'),
        ("The shopping list of today\nbread\nmilk", "The shopping list of today"),
        ("今天的天气非常好，我们可以一起去公园里散步。你想几点出发？", "今天的天气非常好，我们可以一起去公园里散步。"),
        ("Fine 😐", "Fine 😐"),
    ],
)
def test_it_is_the_first_sentence(text: str, expected: str) -> None:
    """The first sentence is taken, with the next one if it is short, and a mark says that more follows."""
    assert opening(text) == expected + MORE


@pytest.mark.parametrize("text", ["word " * 100, "w" * 1_000, "字" * 1_000])
def test_it_is_short(text: str) -> None:
    """A sentence without an end is cut, between words if it has any."""
    found = opening(text).removesuffix(MORE)
    assert LONGEST - 5 < len(found) <= LONGEST
    assert text.startswith(found)
    assert not found.endswith("wor")


@pytest.mark.parametrize(
    "text", ["The capital of France is Paris. It", "word " * 40, "今天的天气非常好，我们可以一起去公园里散步。"]
)
def test_it_does_not_change_while_the_text_grows(text: str) -> None:
    """Once there is a beginning, more text does not change it."""
    assert has_opening(text)
    assert opening(text) == opening(text + " and more. And more!")


@pytest.mark.parametrize("text", ["", "Yes. It", "The capital of France is", "The capital of France is 3."])
def test_it_is_awaited(text: str) -> None:
    """There is none before the end of a sentence that says something, since "3." may go on as "3.5"."""
    assert not has_opening(text)
