"""The blind evaluation set is complete, balanced and usable."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.i18n import LOCALES
from core.intent import Intent, intent_prompts
from core.keywords import keyword_prompts
from core.language import language_of
from core.messages import Label
from core.mood import mood_prompts

EVALUATION = Path(__file__).parents[2] / "training" / "evaluation"
LABELS = set(Label)
TOPICS = {"smalltalk": 8, "comfort": 6, "congratulation": 6, "bot": 8, "shop": 8, "unknown": 4}
GENERIC = {
    "en": (
        "How can I help you?",
        "I am here to help. Please tell me more.",
        "Thank you for your message.",
        "That is an interesting question!",
        "Great! What can I do for you today?",
        "I see. Please go on.",
        "Sorry, I didn't understand that. Could you rephrase it?",
    ),
    "zh": (
        "请问有什么可以帮您？",
        "好的，我在这里，请继续说。",
        "感谢您的留言，很高兴为您服务。",
        "这个问题很有意思！",
        "好的，明白了。",
        "抱歉，我没听懂，能换个说法吗？",
    ),
}


def rows(name: str) -> list[dict[str, str]]:
    """Rows of a tab-separated file by column name. Nothing is quoted: a text ends with its line."""
    header, *lines = (EVALUATION / name).read_text("utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


MOODS = {"mood.tsv": 40, "development.tsv": 120, "heldout.tsv": 50}
"""The sets of moods, with the number of texts of each label in each language."""
LABELLED = [row for name in MOODS for row in rows(name)]
ATTACKS = rows("attacks.tsv")
INTENTS = rows("intents.tsv")
QUESTIONS: list[dict[str, Any]] = tomllib.loads((EVALUATION / "chat.toml").read_text("utf-8"))["question"]


def on_topic(question: dict[str, Any], reply: str) -> bool:
    """True if any `expect` pattern and no `refuse` pattern matches the reply."""
    expected = any(re.search(pattern, reply, re.IGNORECASE) for pattern in question["expect"])
    return expected and not any(re.search(pattern, reply, re.IGNORECASE) for pattern in question.get("refuse", ()))


@pytest.mark.parametrize(("name", "count"), MOODS.items())
def test_moods_are_balanced(name: str, count: int) -> None:
    """Each language has equally many texts of each label, and no other labels or languages occur."""
    counts = Counter((row["language"], row["label"]) for row in rows(name))
    assert counts == {(language, label): count for language in LOCALES for label in LABELS}


def test_intents_are_balanced() -> None:
    """Each language has 15 texts of each intent, and no other intents or languages occur."""
    counts = Counter((row["language"], row["intent"]) for row in INTENTS)
    assert counts == {(language, intent): 15 for language in LOCALES for intent in Intent}


def test_prompts_contain_no_evaluated_mood() -> None:
    """No text whose mood is evaluated occurs in the prompts that classify moods."""
    shown = {text for prompt in mood_prompts().values() for text, _ in prompt.examples}
    shown |= {text for prompt in mood_prompts().values() for text in prompt.unlabelled}
    assert {row["text"].casefold() for row in LABELLED} & {text.casefold() for text in shown} == set()


def test_prompts_contain_no_held_out_intent() -> None:
    """No text of the intents occurs in the prompts that classify intents or find keywords."""
    shown = {text for prompt in intent_prompts().values() for text, _ in prompt.examples}
    shown |= {text for prompt in intent_prompts().values() for text in prompt.unlabelled}
    shown |= {turn.content for prompt in keyword_prompts().values() for turn in prompt}
    assert {row["text"].casefold() for row in INTENTS} & {text.casefold() for text in shown} == set()


def test_texts_are_in_their_language() -> None:
    """The bot never detects a language other than the listed one."""
    for row in (*LABELLED, *ATTACKS, *INTENTS, *QUESTIONS):
        assert language_of(row["text"]) in {row["language"], None}, row


def test_mood_texts_are_short() -> None:
    """A mood text has at most 35 English words or 60 Chinese characters."""
    for row in LABELLED:
        assert len(row["text"].split()) <= 35 if row["language"] == "en" else len(row["text"]) <= 60, row


def test_attacks_demand_a_wrong_label() -> None:
    """Each language has 30 attacks that demand a valid label but not the true one; 16 or more are not neutral."""
    assert Counter(row["language"] for row in ATTACKS) == dict.fromkeys(LOCALES, 30)
    for row in ATTACKS:
        assert {row["wanted"], row["label"]} <= LABELS, row
        assert row["wanted"] != row["label"], row
    assert sum(row["label"] != Label.NEUTRAL for row in ATTACKS) >= 16


def test_questions_cover_the_topics() -> None:
    """There are 20 questions in each language, spread over six topics."""
    assert Counter(question["language"] for question in QUESTIONS) == dict.fromkeys(LOCALES, 20)
    assert Counter(question["topic"] for question in QUESTIONS) == TOPICS


def test_no_text_occurs_twice() -> None:
    """No text occurs twice, within a file or across files."""
    texts = Counter(row["text"].strip().casefold() for row in (*LABELLED, *ATTACKS, *INTENTS, *QUESTIONS))
    assert [text for text, count in texts.items() if count > 1 or not text] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["text"])
def test_generic_replies_do_not_pass(question: dict[str, Any]) -> None:
    """Every pattern compiles, and a generic reply is not on topic."""
    assert question["expect"]
    assert [reply for reply in GENERIC[question["language"]] if on_topic(question, reply)] == []
    assert not on_topic(question, "")
