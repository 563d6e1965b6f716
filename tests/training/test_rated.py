"""How moods are compared with people's ratings, on sentences that were made up for these tests."""

from pathlib import Path

import pytest

from core.classifier import Classifier
from core.engine.scripted import ScriptedEngine
from core.messages import Label
from core.mood import mood_prompts
from training.analysers import label_of, snownlp, vader
from training.blind import Labelled
from training.rated import POLES, RatedSet, accuracy, chosen, compare, macro_f1, main, read_sets, report, sample

POSITIVE, NEGATIVE, NEUTRAL = Label.POSITIVE, Label.NEGATIVE, Label.NEUTRAL


def rated_set(texts: list[Labelled[Label]]) -> RatedSet:
    return RatedSet(name="plums", language="en", labels=tuple(Label), texts=texts)


def texts(*labels: Label) -> list[Labelled[Label]]:
    return [Labelled(language="en", label=label, text=f"Plum {n}.") for n, label in enumerate(labels)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sets, in the packages' formats and at different depths."""
    deep = tmp_path / "one-1.0" / "resources" / "data"
    deep.mkdir(parents=True)
    rows = ["1\t0.5\tPlums &lt;3", "2\t-0.5\tA sour plum.", "3_1\t0.49\tA plum.", "4\t-0.49\tPlums\u2028here."]
    (deep / "plums_GroundTruth.txt").write_text("\r\n".join(rows), "utf-8", newline="")
    reviews = tmp_path / "two-1.0" / "sentiment"
    reviews.mkdir(parents=True)
    (reviews / "pos.txt").write_text("李子很甜\n\n李子很甜\n包装也好\n", "utf-8")
    (reviews / "neg.txt").write_text("李子太酸\n", "utf-8")
    return tmp_path


def test_ratings_become_labels(folder: Path) -> None:
    """A mean rating of 0.5 is positive, -0.5 negative, all between neutral; entities in the text are characters."""
    plums, _ = read_sets(folder)
    assert (plums.name, plums.labels) == ("plums", tuple(Label))
    assert [(text.label, text.text) for text in plums.texts] == [
        (POSITIVE, "Plums <3"),
        (NEGATIVE, "A sour plum."),
        (NEUTRAL, "A plum."),
        (NEUTRAL, "Plums\u2028here."),
    ]


def test_a_repeated_review_counts_once(folder: Path) -> None:
    """Reviews are positive or negative by their file; blank lines and repeated reviews are left out."""
    _, reviews = read_sets(folder)
    assert (reviews.language, reviews.labels) == ("zh", POLES)
    assert [(text.label, text.text) for text in reviews.texts] == [
        (POSITIVE, "李子很甜"),
        (POSITIVE, "包装也好"),
        (NEGATIVE, "李子太酸"),
    ]


def test_a_folder_without_ratings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with an error before it starts a model if it finds no rated texts."""
    monkeypatch.setattr("sys.argv", ["rated", "mini", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "no rated texts" in capsys.readouterr().err


def test_a_sample_is_the_same_each_time() -> None:
    """A sample has different texts of the whole set, the same ones for each call, and no more than there are."""
    own = rated_set(texts(*[POSITIVE] * 100))
    few = sample(own, 10).texts
    assert few == sample(own, 10).texts
    assert few != own.texts[:10]
    assert len(set(few)) == 10
    assert set(sample(own, 1000).texts) == set(own.texts)


def test_macro_f1_weighs_labels_equally() -> None:
    """Macro-F1 is the plain mean of the labels' F1, however many texts each has; a label that never occurs adds 0."""
    truth = [POSITIVE, POSITIVE, POSITIVE, NEGATIVE]
    predicted = [POSITIVE, POSITIVE, NEGATIVE, NEGATIVE]
    assert accuracy(truth, predicted) == 0.75
    assert macro_f1(truth, predicted, POLES) == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert macro_f1(truth, predicted, tuple(Label)) == pytest.approx((4 / 5 + 2 / 3) / 3)


def test_without_neutral_the_likelier_pole_counts() -> None:
    """Neutral is the model's answer only in sets that have it; a text without an answer is neutral in both."""
    shares = {POSITIVE: 0.2, NEGATIVE: 0.1, NEUTRAL: 0.7}
    assert chosen(shares, tuple(Label)) is NEUTRAL
    assert chosen(shares, POLES) is POSITIVE
    assert chosen({}, POLES) is NEUTRAL


async def test_a_report_has_the_models_line() -> None:
    """The model labels every text, and the report counts the true labels and the model's hits."""
    own = rated_set(texts(POSITIVE, NEGATIVE, NEGATIVE, NEUTRAL))
    engine = ScriptedEngine.fixed(mood=lambda text: NEUTRAL if "3" in text else NEGATIVE)
    predicted = await compare(Classifier(engine, mood_prompts()), own)
    assert predicted["model"] == [NEGATIVE, NEGATIVE, NEGATIVE, NEUTRAL]
    lines = report(own, predicted).splitlines()
    assert lines[0] == "plums: 1 positive, 2 negative, 1 neutral"
    assert lines[1].split() == ["model", "accuracy", "75.0%,", "macro-F1", "0.600"]


def test_analysers_label_by_their_usual_thresholds() -> None:
    """VADER's compound score is neutral within 0.05 of 0; snownlp's probability is positive above one half."""
    compound = {"plum": 0.0499, "ripe plum": 0.05, "sour plum": -0.05}
    by_vader = vader(lambda text: {"compound": compound[text]}).label
    assert [by_vader(text) for text in compound] == [NEUTRAL, POSITIVE, NEGATIVE]
    probability = {"李子": 0.5, "甜李子": 0.51}
    by_snownlp = snownlp(lambda text: probability[text]).label
    assert [by_snownlp(text) for text in probability] == [NEGATIVE, POSITIVE]


def test_a_score_of_the_threshold_is_not_neutral() -> None:
    """Both ends of the neutral range are outside it."""
    assert [label_of(score, 0.5) for score in (-0.5, -0.4, 0.0, 0.4, 0.5)] == [
        NEGATIVE,
        NEUTRAL,
        NEUTRAL,
        NEUTRAL,
        POSITIVE,
    ]
