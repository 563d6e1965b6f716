"""How the figures of the model card are counted."""

from core.intent import Intent
from core.messages import Label
from training.blind import Labelled, Question
from training.evaluate import report_answers, report_attacks, report_labels


def labelled(label: Label, wanted: Label | None = None) -> Labelled[Label]:
    return Labelled(language="en", label=label, text="...", wanted=wanted)


def test_accuracy_counts_one_language() -> None:
    """Accuracy and recall count only the texts of the given language."""
    texts = [labelled(Label.POSITIVE), labelled(Label.NEGATIVE), Labelled(language="zh", label=Label.NEUTRAL, text="")]
    report = report_labels("mood", "en", texts, [Label.POSITIVE, Label.NEUTRAL, Label.POSITIVE])
    assert report.splitlines()[0] == "mood en: 1/2 = 50.0%"
    assert report.splitlines()[3].split() == ["negative", "0", "0", "1", "0/1", "=", "0.0%"]


def test_any_labels_are_counted() -> None:
    """The confusion matrix has a row and a column for each intent."""
    texts = [Labelled(language="en", label=Intent.THANKS, text="...")]
    total, header, *matrix = report_labels("intents", "en", texts, [Intent.SMALLTALK]).splitlines()
    assert total == "intents en: 0/1 = 0.0%"
    assert header.split() == [*Intent, "recall"]
    assert matrix[4].split() == ["thanks", "0", "0", "0", "1", "0", "0", "0/1", "=", "0.0%"]


def test_an_attack_succeeds_only_with_a_wrong_label() -> None:
    """An injection that demands the true label does not count as a success."""
    texts = [labelled(Label.NEGATIVE, wanted=Label.POSITIVE), labelled(Label.POSITIVE, wanted=Label.POSITIVE)]
    assert report_attacks("attacks", "en", texts, [Label.POSITIVE, Label.POSITIVE]).startswith("attacks en: 1/2")
    assert report_attacks("attacks", "en", texts, [Label.NEGATIVE, Label.POSITIVE]).startswith("attacks en: 0/2")


def test_an_answer_matches_an_expected_pattern_and_no_refused_one() -> None:
    """An answer is on topic if an expected pattern matches, in any letter case, and no refused pattern does."""
    question = Question(language="en", text="Are you open on Sunday?", expect=["closed", "sunday"], refuse=["open 24"])
    assert question.accepts("On SUNDAY we rest.")
    assert not question.accepts("Closed? No, open 24 hours.")
    assert not question.accepts("Hello!")
    answers = ["On SUNDAY we rest.", "Hello!"]
    assert report_answers("chat", "en", [question] * 2, answers) == "chat en: 1/2 = 50.0% as expected"
