"""The rules that judge replies."""

import pytest

from core.messages import Finish, Label, Locale, Mood, Reply, Source
from core.prompt import HINTS
from training.blind import Remark
from training.replies import Answered


def answered(
    reply: str, text: str = "I lost my keys", *, label: Label = Label.NEGATIVE, language: Locale = "en"
) -> Answered:
    return Answered(
        remark=Remark(language=language, label=label, text=text, follow_up=""),
        mood=Mood(label=label, confidence=1.0),
        reply=Reply(text=reply, source=Source.MODEL, finish=Finish.STOP),
        first=0.1,
        total=0.2,
    )


@pytest.mark.parametrize(
    "reply",
    ["The writer sounds sad.", "As the hint says, hi.", "Your negative mood shows.", HINTS["en"][Label.NEGATIVE]],
)
def test_words_of_the_instructions_are_leaks(reply: str) -> None:
    """A reply that names the writer, the hint or the mood's label, or repeats the hint, leaks."""
    assert answered(reply).leaks


def test_the_persons_own_words_are_no_leak() -> None:
    """A reply may repeat what the person wrote."""
    assert not answered("A hint: it is a crossword.", "give me a hint").leaks
    assert not answered("Oh no, I am sorry.").leaks


def test_a_reply_in_another_language_is_foreign() -> None:
    """A reply has the language of its message, or none."""
    assert answered("你好，很高兴认识你").is_foreign
    assert not answered("Nice to meet you").is_foreign
    assert not answered("42").is_foreign


@pytest.mark.parametrize(
    ("label", "reply", "right"),
    [
        (Label.NEGATIVE, "Oh no! That must hurt.", True),
        (Label.NEGATIVE, "Great! Have fun.", False),
        (Label.POSITIVE, "Congratulations! Well done.", True),
        (Label.POSITIVE, "I am sorry to hear that.", False),
        (Label.NEUTRAL, "It opens at nine.", True),
        (Label.NEUTRAL, "I'm sorry to hear that. It opens at nine.", False),
        (Label.NEGATIVE, "Look under the sofa. Ask your friend. I am sorry.", False),
    ],
)
def test_an_opening_fits_the_mood(label: Label, reply: str, *, right: bool) -> None:
    """Only the first two sentences count."""
    assert answered(reply, label=label).opens_rightly is right
