from core.engine.scripted import ScriptedEngine
from core.messages import Label
from core.stages.mood import MoodReader


async def test_same_text_is_read_once() -> None:
    """The mood is cached by text, and the bias by language."""
    engine = ScriptedEngine.fixed(mood=lambda text: Label.POSITIVE if "day" in text else None)
    reader = MoodReader(engine)
    first = await reader.read("a lovely day", "en")
    assert await reader.read("a lovely day", "en") == first
    assert len(engine.first_token_prompts) == 2


async def test_text_is_asked_about_in_its_own_language() -> None:
    """The mood prompt is in the language of the text, or in the person's if the text has none."""
    engine = ScriptedEngine.fixed()
    reader = MoodReader(engine)
    await reader.read("今天真好", "en")
    await reader.read("!!!", "zh")
    assert all("文本" in prompt[1].content for prompt in engine.first_token_prompts)
