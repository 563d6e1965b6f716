import pytest

from core.repetition import ends_sentence, loop_start

ONCE = "Paris is the capital of France."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"{ONCE} {ONCE} {ONCE}", f"{ONCE} {ONCE}"),
        ("我会尽力帮助你的。我会尽力帮助你的。我会尽力帮助你的。", "我会尽力帮助你的。我会尽力帮助你的。"),
        (
            "1. Drink a lot of water.\n2. Drink a lot of water.\n3. Drink a lot of water.\n",
            "1. Drink a lot of water.\n2. Drink a lot of water.\n",
        ),
        (
            f"{ONCE} It is large! {ONCE} It is large! PARIS is the capital of France!",
            f"{ONCE} It is large! {ONCE} It is large!",
        ),
    ],
)
def test_a_sentence_ends_the_reply_at_its_third_time(text: str, kept: str) -> None:
    """The third occurrence is found, whatever the numbering, the letter case and the sentences between."""
    start = loop_start(text)
    assert start is not None
    assert text[:start].strip() == kept.strip()


@pytest.mark.parametrize(
    "text",
    [
        f"{ONCE} {ONCE} Paris is the capital of",
        "No. No. No. No.",
        "好的。好的。好的。好的。",
        "```python\nprint('hello world')\nprint('hello world')\nprint('hello world')\n```\n",
        "```\nreturn self.value\nreturn self.value\nreturn self.value\n",
        "A is 1. B is 2. C is 3. D is 4.",
        "",
    ],
)
def test_other_texts_are_no_loops(text: str) -> None:
    """An unfinished third time, short exclamations, code and similar sentences are left alone."""
    assert loop_start(text) is None


@pytest.mark.parametrize(
    ("piece", "ends"), [(" the", False), ("3.", False), ("end.", True), ("。", True), ("\n", True)]
)
def test_only_an_end_mark_ends_a_sentence(piece: str, *, ends: bool) -> None:
    """Other pieces cannot complete a repetition, so that a long reply is not searched at every token."""
    assert ends_sentence(piece) is ends
