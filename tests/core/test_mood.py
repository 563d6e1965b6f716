import pytest

from core.engine.scripted import first_tokens_for
from core.labels import shares
from core.messages import Label, Locale
from core.mood import mood_of, mood_prompts


def test_likeliest_label_wins() -> None:
    """The mood is the likeliest label, and its probability is the confidence."""
    mood = mood_of({Label.POSITIVE: 0.8, Label.NEGATIVE: 0.1, Label.NEUTRAL: 0.1})
    assert (mood.label, mood.confidence) == (Label.POSITIVE, 0.8)


def test_too_close_to_call_is_neutral() -> None:
    """Two labels of almost equal probability give a neutral mood."""
    mood = mood_of({Label.POSITIVE: 0.46, Label.NEGATIVE: 0.44, Label.NEUTRAL: 0.1})
    assert (mood.label, mood.confidence) == (Label.NEUTRAL, 0.1)


def test_an_unknown_mood_is_neutral_without_confidence() -> None:
    """Without likelihoods the mood is neutral with confidence 0."""
    mood = mood_of({})
    assert (mood.label, mood.confidence) == (Label.NEUTRAL, 0.0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_scripted_first_tokens_mean_their_label(language: Locale) -> None:
    """The scripted engine's first tokens mean the same label in English and Chinese."""
    found = shares(mood_prompts()[language].logprobs(first_tokens_for(mood_prompts(), Label.NEGATIVE)), {})
    assert mood_of(found).label is Label.NEGATIVE
