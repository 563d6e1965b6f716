"""Forms of a reply on Slack."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.slack.forms import SIZES, displayed, parts_of, reply_forms, response_forms
from bots.slack.rendering import markdown
from core.messages import Label, Mood, Reply, Source

GLAD = Mood(label=Label.POSITIVE, confidence=0.9)


def said(text: str, *, show: bool = True, source: Source = Source.MODEL) -> Reply:
    return Reply(text=text, source=source, mood=GLAD, show_mood=show)


def test_a_mood_stands_outside_of_code() -> None:
    """In each form the mood stands in a paragraph of its own after code, since "``` 😊" does not close a block."""
    code = "Here you go:\n\n```python\nprint(1)\n```"
    for ((*rich, bare, plainest),) in reply_forms(said(code), 1, "en"):
        assert all(form.blocks[0].to_dict()["text"] == f"{code}\n\n😊" for form in rich)
        assert bare.markdown == f"{code}\n\n😊"
        assert plainest.text == "Here you go:\n\nprint(1)\n\n😊"


@pytest.mark.parametrize("answer", ["word " * 300, "**bold** line\n" * 2_000, "|a|b|\n|-|-|\n" + "|1|2|\n" * 900])
def test_the_text_is_the_whole_answer(answer: str) -> None:
    """Beside blocks stands all that they say, for screen readers and notifications, within the limit of an edit."""
    for messages, size in zip(reply_forms(said(answer), 1, "en"), SIZES, strict=True):
        for *rich, plainest in messages:
            assert all(form.text == plainest.text for form in rich if form.blocks)
            assert "*" not in plainest.text
            assert len(plainest.text) <= size
    shown = [forms[-1].text for forms in reply_forms(said(answer), 1, "en")[0]]
    assert "".join(shown).count("bold") == answer.count("bold")


def test_a_table_is_split_with_its_head() -> None:
    """Each message of a long table begins with the header and the rule, in a code block of its own."""
    rows = "".join(f"| name {number} | {number} |\n" for number in range(300))
    first, *others = (
        forms[0].blocks[0].to_dict()["text"]
        for forms in reply_forms(said(f"| Name | Qty |\n|---|---|\n{rows}"), 1, "en")[0]
    )
    assert others
    for text in (first, *others):
        assert text.startswith("```\nName     | Qty\n---------|----\n")
        assert text.count("```") == 2


def test_only_the_model_writes_markdown() -> None:
    """A command's text is shown as it is, without blocks."""
    (((form,),), _) = reply_forms(said("use `x` and **y**", source=Source.COMMAND, show=False), 1, "en")
    assert (form.text, form.blocks) == ("use `x` and **y**", ())


def test_a_response_is_rendered_too() -> None:
    """The answer to a slash command has Markdown blocks, and plain text to fall back on."""
    ((rich, plainest),) = response_forms(said("# Hi **you**", show=False))
    assert rich.blocks[0].to_dict() == {"type": "markdown", "text": "**Hi you**"}
    assert (rich.text, plainest.text, plainest.blocks) == ("Hi you", "Hi you", ())


def test_a_mood_that_is_hidden_changes_nothing() -> None:
    """Without its mood a reply is shown as it is."""
    assert markdown(displayed(said("> quoted", show=False))) == "> quoted"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.sampled_from(["word", "> quote", "```", "```py", "| a | b |", "", "x" * 70, "&<>" * 9, "甲。"]), max_size=60
    ),
    st.integers(120, 300),
)
def test_a_mood_ends_the_last_part(lines: list[str], size: int) -> None:
    """The mood ends the last part, is never a message of its own, and no part is over the limit with it."""
    text = "\n".join(["so", *lines, "end"])
    *parts, last = parts_of(displayed(said(text)), size)
    assert last.text.endswith("😊")
    assert last.text.strip("😊 \n")
    assert not any("😊" in part.text for part in parts)
    assert all(len(markdown(part)) <= size for part in (*parts, last))


@pytest.mark.parametrize("line", ["> a quoted line", "| a | cell |", "    indented = code"])
def test_a_mood_stands_apart_in_the_last_part(line: str) -> None:
    """The last part of a long quote, table or block of code is told from the mood too."""
    *_, last = parts_of(displayed(said("\n".join([line] * 100))), 500)
    assert markdown(last).endswith("\n\n😊")
