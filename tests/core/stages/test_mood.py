from core.engine.scripted import ScriptedEngine
from core.messages import Label
from core.stages.mood import MoodReader


async def test_the_mood_is_the_models() -> None:
    """The reader returns the label that the model finds likeliest."""
    reader = MoodReader(ScriptedEngine.fixed(mood=lambda text: Label.POSITIVE if "day" in text else Label.NEGATIVE))
    assert (await reader.read("a lovely day", "en")).label is Label.POSITIVE
    assert (await reader.read("a sad night", "en")).label is Label.NEGATIVE


async def test_without_logprobs_the_mood_is_unknown() -> None:
    """The mood of a server without log-probabilities is neutral with confidence 0."""
    mood = await MoodReader(ScriptedEngine.fixed(mood=lambda _: None)).read("hello", "en")
    assert (mood.label, mood.confidence) == (Label.NEUTRAL, 0.0)
