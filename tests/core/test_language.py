import pytest

from core.language import Languages, language_of, locale_of_tag
from core.messages import Locale


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How are you?", "en"),
        ("don't know", "en"),
        ("你好吗？", "zh"),
        ("好", "zh"),
        ("我用 Python 写代码", "zh"),
        ("The word 你好 means hello", "en"),
        ("ok 好的", "zh"),
    ],
)
def test_a_text_has_the_language_of_most_of_its_words(text: str, language: Locale) -> None:
    """A text is Chinese if it has at least as many Han characters as Latin words, and English otherwise."""
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42 🎉 ...",
        "ok",
        "OK OK!",
        "okay lol",
        "hahaha",
        "iPhone",
        "https://example.com/some/long/path",
        "ann.lee@example.com",
        "@parley_bot #support",
        "/lang zh",
        "`git push origin main`",
        "```\nimport this and that\n```",
    ],
)
def test_a_text_without_prose_has_no_language(text: str) -> None:
    """Numbers, emoji, links, code, commands and words that everybody uses belong to no language."""
    assert language_of(text) is None


def test_the_first_sentence_decides() -> None:
    """The language of the first sentence goes before the platform's hint."""
    assert Languages(hint="zh").after("How do I return this?").own_words(None) == "en"


@pytest.mark.parametrize("first", ["ok", "ok thanks", "Oh wow!", "hello hello", "no, thank you", "haha yes", "👍"])
def test_a_word_of_no_language_leaves_the_hint(first: str) -> None:
    """A newcomer who begins with "ok" is spoken to in the language that their platform names."""
    assert Languages(hint="zh").after(first).own_words(None) == "zh"
    assert Languages().after(first).after("你好，请介绍一下自己").own_words(None) == "zh"


def test_own_words_switch_after_two_sentences_in_a_row() -> None:
    """Two sentences in another language switch if they come in a row; words of no language are ignored."""
    known = Languages().after("你好，请介绍一下自己").after("How are you?")
    assert known.own_words(None) == "zh"
    assert known.after("再见，谢谢").after("How are you?").own_words(None) == "zh"
    assert known.after("ok").own_words(None) == "zh"
    assert known.after("ok").after("What is your name?").own_words(None) == "en"


def test_a_choice_outweighs_everything() -> None:
    """/lang goes before the configured language, and that before the language of a person's sentences."""
    known = Languages(chosen="en", spoken="zh", hint="zh")
    assert known.own_words("zh") == "en"
    assert Languages(spoken="zh").own_words("en") == "en"
    assert Languages().own_words(None) == "en"


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("zh-hans", "zh"),
        ("zh_CN.UTF-8", "zh"),
        ("EN", "en"),
        ("en-GB", "en"),
        ("de", None),
        ("zhx", None),
        (None, None),
    ],
)
def test_a_language_tag_names_a_locale(tag: str | None, locale: Locale | None) -> None:
    """The primary part of a tag decides; a language that the bot does not speak is none."""
    assert locale_of_tag(tag) == locale
