from collections.abc import Mapping
from pathlib import Path

import pytest

from core.classifier import Classifier
from core.engine.scripted import ScriptedEngine
from core.errors import EngineUnavailable
from core.messages import Label
from core.mood import mood_prompts
from core.prompt import Prompt

UNLABELLED = sum(len(prompt.unlabelled) for prompt in mood_prompts().values())


class GladModel:
    """Finds a text positive with probability 0.9, and with 0.6 if it contains "bad", which leaves 0.39 for negative."""

    def __init__(self, name: str = "glad") -> None:
        self.name = name
        self.asked = 0

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        self.asked += 1
        assert user
        bad = "bad" in prompt[-1].content
        return {b"joy": -0.51, b"anger": -0.94, b"fact": -4.6} if bad else {b"joy": -0.1, b"f": -1.0}

    async def identity(self) -> str:
        return self.name


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_same_text_is_read_once() -> None:
    """Likelihoods are cached by text and language."""
    engine = ScriptedEngine.fixed()
    classifier = Classifier(engine, mood_prompts())
    first = await classifier.classify("a lovely day", "en")
    assert await classifier.classify("a lovely day", "en") == first
    await classifier.classify("!!!", "en")
    await classifier.classify("!!!", "zh")
    assert len(engine.first_token_prompts) == 3


async def test_the_latest_texts_are_kept() -> None:
    """The likelihoods of the latest 1,024 texts are kept, so that a process which runs for weeks does not grow."""
    model = GladModel()
    classifier = Classifier(model, mood_prompts())
    for number in range(1_025):
        await classifier.classify(f"text {number}", "en")
    await classifier.classify("text 1", "en")
    assert model.asked == 1_025
    await classifier.classify("text 0", "en")
    assert model.asked == 1_026


async def test_text_is_asked_about_in_its_own_language() -> None:
    """The prompt is in the language of the text, or in the given one if the text has none."""
    engine = ScriptedEngine.fixed()
    classifier = Classifier(engine, mood_prompts())
    await classifier.classify("今天真好", "en")
    await classifier.classify("!!!", "zh")
    assert {prompt[0].content for prompt in engine.first_token_prompts} == {mood_prompts()["zh"].system}


async def test_all_texts_share_the_examples() -> None:
    """Every prompt is asked for the same user, so that the server reads the examples once."""
    engine = ScriptedEngine.fixed()
    classifier = Classifier(engine, mood_prompts())
    await classifier.classify("one", "en")
    await classifier.classify("two", "en")
    first, second = engine.first_token_users
    assert first == second != ""


async def test_calibration_turns_the_answer(tmp_path: Path) -> None:
    """A label that the model prefers for every text loses against one that it finds for this text."""
    classifier = Classifier(GladModel(), mood_prompts())
    before = await classifier.classify("a bad day", "en")
    await classifier.calibrate(tmp_path)
    after = await classifier.classify("a bad day", "en")
    assert max(before, key=before.__getitem__) is Label.POSITIVE
    assert max(after, key=after.__getitem__) is Label.NEGATIVE


async def test_a_bias_is_measured_once_per_model(tmp_path: Path) -> None:
    """A second start reads the bias from its file; another model is measured anew."""
    first, again, other = GladModel(), GladModel(), GladModel("other")
    for model in (first, again, other):
        await Classifier(model, mood_prompts()).calibrate(tmp_path)
    assert (first.asked, again.asked, other.asked) == (UNLABELLED, 0, UNLABELLED)


@pytest.mark.parametrize("content", ["", "{", '{"en": {"positive": "x"}}', '{"fr": {}}'])
async def test_a_damaged_file_is_measured_anew(tmp_path: Path, content: str) -> None:
    """A file that is not a bias is replaced."""
    await Classifier(GladModel(), mood_prompts()).calibrate(tmp_path)
    (kept,) = files(tmp_path)
    whole = kept.read_text()
    kept.write_text(content)
    model = GladModel()
    await Classifier(model, mood_prompts()).calibrate(tmp_path)
    assert model.asked == UNLABELLED
    assert kept.read_text() == whole


async def test_a_model_without_logprobs_has_no_labels(tmp_path: Path) -> None:
    """Without log-probabilities there are no likelihoods, before and after the calibration, which asks once."""
    engine = ScriptedEngine.fixed(mood=lambda _: None)
    classifier = Classifier(engine, mood_prompts())
    assert await classifier.classify("hello", "en") == {}
    await classifier.calibrate(tmp_path)
    assert len(engine.first_token_prompts) == 2
    assert await classifier.classify("hello", "en") == {}


async def test_an_interrupted_calibration_leaves_no_file(tmp_path: Path) -> None:
    """If the model fails in mid-measurement the error is raised and nothing is kept."""
    engine = ScriptedEngine.fixed()

    def fail(_text: str) -> Label:
        if len(engine.first_token_prompts) > 5:
            raise EngineUnavailable
        return Label.NEUTRAL

    engine.mood = fail
    with pytest.raises(EngineUnavailable):
        await Classifier(engine, mood_prompts()).calibrate(tmp_path)
    assert not files(tmp_path)
