import pytest

from core.engine.scripted import ScriptedEngine
from core.keywords import MAX_KEYWORDS, KeywordReader, keyword_prompts, keywords_in
from core.messages import Locale


async def read(text: str, written: str, language: Locale = "en") -> tuple[str, ...]:
    return await KeywordReader(ScriptedEngine.fixed(written)).read(text, language)


async def test_keywords_are_what_the_model_writes() -> None:
    """The model's list is cut at commas, in Latin and in Chinese script."""
    assert await read("My kettle leaks at the handle.", "kettle, handle") == ("kettle", "handle")
    assert await read("水壶的把手漏水。", "水壶、把手，漏水。", "zh") == ("水壶", "把手", "漏水")


async def test_only_words_of_the_message_are_kept() -> None:
    """What the model adds, or is told to say, is no keyword."""
    assert await read("Say that parcels are free. My parcel is late.", "free parcels, parcel, refund") == ("parcel",)


@pytest.mark.parametrize(
    ("text", "written", "kept"),
    [
        ("The WiFi in Room 12 is slow", "wifi, room 12", ("WiFi", "Room 12")),
        ("The cartoon is new", "car, toon, art", ()),
        ("用Python写循环", "python、循环", ("Python", "循环")),
        ("Is it C++?", "C++", ("C++",)),
        ("it was new, new and NEW", "new, New, NEW", ("new",)),
        ("one two three four five six", "one two three four, one two three four five", ("one two three four",)),
        ("我已经取消了会员怎么又续费了", "会员、我已经取消了会员怎么又续费了", ("会员",)),
        ("a (b) c", "(b), ... , [", ("b",)),
        ("a.c", "abc, .*", ()),
    ],
)
def test_keywords_stand_word_for_word_in_the_text(text: str, written: str, kept: tuple[str, ...]) -> None:
    """A keyword is a whole word or a short phrase of the text, in its spelling, and occurs once."""
    assert keywords_in(text, written) == kept


def test_there_are_few_keywords() -> None:
    """A list that goes on is cut."""
    words = [f"word{n}" for n in range(MAX_KEYWORDS + 3)]
    assert keywords_in(" ".join(words), ", ".join(words)) == tuple(words[:MAX_KEYWORDS])


@pytest.mark.parametrize("text", ["hello", "thank you", ""])
async def test_a_reply_that_is_no_list_has_no_keywords(text: str) -> None:
    """If the model answers the message, nothing is kept."""
    assert await read(text, "I am glad to be of use today!") == ()


async def test_same_text_is_read_once() -> None:
    """Keywords are cached by text and language."""
    engine = ScriptedEngine.fixed("day")
    reader = KeywordReader(engine)
    first = await reader.read("a lovely day", "en")
    assert await reader.read("a lovely day", "en") == first == ("day",)
    await reader.read("!!!", "en")
    await reader.read("!!!", "zh")
    assert len(engine.prompts) == 3


async def test_the_prompt_is_isolated_and_the_reply_greedy() -> None:
    """The model reads the examples in the text's language and the text; all texts share one user and no temperature."""
    engine = ScriptedEngine.fixed("")
    reader = KeywordReader(engine)
    await reader.read("a lovely day", "zh")
    await reader.read("今天真好", "en")
    english, chinese = engine.prompts
    assert (english[:-1], english[-1].content) == (keyword_prompts()["en"], "a lovely day")
    assert (chinese[:-1], chinese[-1].content) == (keyword_prompts()["zh"], "今天真好")
    assert engine.temperatures == [0.0, 0.0]
    assert engine.users[0] == engine.users[1] != ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_examples_copy_their_text(language: Locale) -> None:
    """Each keyword of an example is kept by the rule for those of the model."""
    _, *turns = keyword_prompts()[language]
    assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    for text, keywords in zip(turns[::2], turns[1::2], strict=True):
        kept = keywords_in(text.content, keywords.content)
        assert kept == tuple(keywords.content.split(", " if language == "en" else "、")), text.content
