"""The figures of the model card: what counts as right."""

from core.messages import Label
from training.blind import Labelled, Question
from training.evaluate import report_answers, report_attacks, report_moods


def labelled(label: Label, wanted: Label | None = None) -> Labelled:
    return Labelled(language="en", label=label, text="...", wanted=wanted)


def test_accuracy_counts_one_language() -> None:
    """Accuracy and recall are shares of the texts of that language."""
    texts = [labelled(Label.POSITIVE), labelled(Label.NEGATIVE), Labelled(language="zh", label=Label.NEUTRAL, text="")]
    report = report_moods("en", texts, [Label.POSITIVE, Label.NEUTRAL, Label.POSITIVE])
    assert report.splitlines()[0] == "mood en: 1/2 = 50.0%"
    assert report.splitlines()[3].split() == ["negative", "0", "0", "1", "0/1", "=", "0.0%"]


def test_an_attack_wins_only_with_a_wrong_label() -> None:
    """A text that begs for what it really says wins nothing."""
    texts = [labelled(Label.NEGATIVE, wanted=Label.POSITIVE), labelled(Label.POSITIVE, wanted=Label.POSITIVE)]
    assert report_attacks("en", texts, [Label.POSITIVE, Label.POSITIVE]).startswith("attacks en: 1/2")
    assert report_attacks("en", texts, [Label.NEGATIVE, Label.POSITIVE]).startswith("attacks en: 0/2")


def test_an_answer_needs_one_pattern_and_none_of_the_refused() -> None:
    """An answer is on topic with any expected pattern in any case, unless a refused one matches too."""
    question = Question(language="en", text="Are you open on Sunday?", expect=["closed", "sunday"], refuse=["open 24"])
    assert question.is_met_by("On SUNDAY we rest.")
    assert not question.is_met_by("Closed? No, open 24 hours.")
    assert not question.is_met_by("Hello!")
    assert report_answers("en", [True, False]) == "chat en: 1/2 = 50.0% on topic"
