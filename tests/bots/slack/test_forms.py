"""Forms of a reply on Slack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.slack.forms import displayed_parts, reply_forms
from bots.slack.text import escaped
from core.messages import Label, Mood, Reply, Source

GLAD = Mood(label=Label.POSITIVE, confidence=0.9)


def said(text: str, *, show: bool = True) -> Reply:
    return Reply(text=text, source=Source.MODEL, mood=GLAD, show_mood=show)


def test_a_mood_stands_outside_of_code() -> None:
    """In each form the mood stands in a paragraph of its own after code, since "``` 😊" does not close a block."""
    code = "Here you go:\n\n```python\nprint(1)\n```"
    for ((*rich, markdown, plain),) in reply_forms(said(code), 1, "en"):
        assert all(form.blocks[0].to_dict()["text"] == f"{code}\n\n😊" for form in rich)
        assert markdown.markdown == plain.text == f"{code}\n\n😊"


def test_a_mood_that_is_hidden_changes_nothing() -> None:
    """Without its mood a reply is shown as it is."""
    assert displayed_parts(said("> quoted", show=False), 100) == ("> quoted",)


@given(
    st.lists(
        st.sampled_from(["word", "> quote", "```", "```py", "| a | b |", "", "x" * 70, "&<>" * 9, "甲。"]), max_size=60
    ),
    st.integers(120, 300),
)
def test_a_mood_ends_the_last_part(lines: list[str], size: int) -> None:
    """The mood ends the last part, is never a message of its own, and no part is over the limit with it."""
    text = "\n".join(["so", *lines, "end"])
    *parts, last = displayed_parts(said(text), size)
    assert last.endswith("😊")
    assert last.strip("😊 \n")
    assert not any("😊" in part for part in parts)
    assert all(len(escaped(part)) <= size for part in (*parts, last))


@pytest.mark.parametrize("line", ["> a quoted line", "| a | cell |", "    indented = code"])
def test_a_mood_stands_apart_in_the_last_part(line: str) -> None:
    """The last part of a long quote, table or block of code is told from the mood too."""
    *_, last = displayed_parts(said("\n".join([line] * 100)), 500)
    assert last.endswith(f"{line.strip()}\n\n😊")
