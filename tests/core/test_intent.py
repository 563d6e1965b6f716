from itertools import pairwise
from pathlib import Path

import pytest

from core.engine.scripted import ScriptedEngine
from core.intent import Intent, IntentReader, intent_prompts
from core.messages import Locale

UNLABELLED = sum(len(prompt.unlabelled) for prompt in intent_prompts().values())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("intent", list(Intent))
async def test_the_intent_is_the_models(intent: Intent, language: Locale) -> None:
    """The reader returns the label that the model finds likeliest, in both languages."""
    engine = ScriptedEngine.fixed()
    engine.intent = lambda text: intent if text == "!?" else Intent.OTHER
    read = await IntentReader(engine).read("!?", language)
    assert read.label is intent
    assert read.confidence > 0.5


async def test_without_logprobs_the_intent_is_unknown(tmp_path: Path) -> None:
    """The intent of a server without log-probabilities is other with confidence 0, also after the calibration."""
    reader = IntentReader(ScriptedEngine.fixed(mood=lambda _: None))
    await reader.calibrate(tmp_path)
    read = await reader.read("hello", "en")
    assert (read.label, read.confidence) == (Intent.OTHER, 0.0)


async def test_the_bias_is_measured_on_the_unlabelled_texts(tmp_path: Path) -> None:
    """The calibration asks for the intent of every unlabelled text once; a second start reads the bias."""
    first, again = ScriptedEngine.fixed(), ScriptedEngine.fixed()
    for engine in (first, again):
        await IntentReader(engine).calibrate(tmp_path)
    assert (len(first.first_token_prompts), len(again.first_token_prompts)) == (UNLABELLED, 0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_examples_are_balanced_and_interleaved(language: Locale) -> None:
    """Each intent has equally many examples, none follows another of its intent, and no text occurs twice."""
    prompt = intent_prompts()[language]
    words = [word for _, word in prompt.examples]
    assert {words.count(word) for word, *_ in prompt.words.values()} == {len(words) // len(Intent)}
    assert all(word != following for word, following in pairwise(words))
    texts = [text for text, _ in prompt.examples] + list(prompt.unlabelled)
    assert len(set(texts)) == len(texts)
