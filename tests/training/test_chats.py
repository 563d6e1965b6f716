"""Conversations of the corpus: honest answers, and languages that change."""

import re
from collections.abc import Mapping
from itertools import islice, pairwise
from random import Random

import pytest

from core.language import language_of
from core.messages import Label, Locale
from core.prompt import ChatMessage
from training.corpus import chat_samples, read_all_seeds
from training.questions import with_questions
from training.sample import LANGUAGES, Sample
from training.seeds import Seeds, parse_chat

HONEST: Mapping[Locale, str] = {"en": "only the small built-in model", "zh": "只是内置的小模型"}
GREETED = re.compile(r"Nice to meet you, (.+)!")
COUNT = 1500


@pytest.fixture(scope="module")
def seeds() -> Mapping[Locale, Seeds]:
    return read_all_seeds()


@pytest.fixture(scope="module")
def chats(seeds: Mapping[Locale, Seeds]) -> list[Sample]:
    return list(islice(chat_samples(seeds, Random(3)), COUNT))


def answers(sample: Sample) -> list[str]:
    """All answers of a conversation, in order."""
    return [*(message.content for message in sample.prompt if message.role == "assistant"), sample.answer]


def test_every_honest_answer_says_why(seeds: Mapping[Locale, Seeds]) -> None:
    """Each wording of the honest answer names the small built-in model, so that it can be recognised."""
    for language, phrase in HONEST.items():
        wordings = seeds[language].slots["honest"]
        assert len(wordings) > 2
        assert all(phrase in wording for wording in wordings)


def test_a_quarter_to_a_third_of_the_answers_are_honest(chats: list[Sample]) -> None:
    """Neither the honest answer nor what the model can talk about crowds out the other."""
    said = [answer for sample in chats for answer in answers(sample)]
    for phrase, language in ((phrase, language) for language, phrase in HONEST.items()):
        own = [answer for answer in said if language_of(answer) == language]
        assert 1 / 4 < sum(phrase in answer for answer in own) / len(own) < 1 / 3


def test_unknown_questions_are_neutral(seeds: Mapping[Locale, Seeds]) -> None:
    """Questions outside the domain are neutral mood seeds, whatever their wording."""
    (block,) = parse_chat("@unknown\nQ: solve {sum}\nA: {honest}\n")
    assert block.unknown
    assert block.mood is Label.NEUTRAL
    for language in LANGUAGES:
        neutral = with_questions(seeds[language], language)[Label.NEUTRAL, "question"]
        unknown = [block.steps[0].questions for block in seeds[language].blocks if block.unknown]
        assert sum(question in neutral for questions in unknown for question in questions) > 700


def test_languages_change_within_a_conversation(chats: list[Sample]) -> None:
    """More than a tenth of the answers are in another language than the one before them."""
    pairs = [pair for sample in chats for pair in pairwise(map(language_of, answers(sample))) if None not in pair]
    assert sum(before != after for before, after in pairs) > len(pairs) / 10


def test_a_change_of_language_is_often_a_greeting(seeds: Mapping[Locale, Seeds], chats: list[Sample]) -> None:
    """Dialogues marked as greetings make up a third of what follows a change, and far less of everything else."""
    blocks = [block for own in seeds.values() for block in own.blocks if block.greeting]
    greetings = {answer for block in blocks for step in block.steps for answer in step.answers}
    pairs = [pair for sample in chats for pair in pairwise(answers(sample))]
    changed = [new in greetings for old, new in pairs if language_of(old) != language_of(new)]
    others = [new in greetings for old, new in pairs if language_of(old) == language_of(new)]
    assert sum(changed) / len(changed) > 1 / 3
    assert sum(others) / len(others) < 1 / 5


def test_answers_follow_the_language_of_the_message(chats: list[Sample]) -> None:
    """The last answer is in the language of the last message, whatever language came before."""
    ends = [(language_of(sample.prompt[-1].content), language_of(sample.answer)) for sample in chats]
    clear = [(message, answer) for message, answer in ends if message and answer]
    assert sum(message == answer for message, answer in clear) > 0.98 * len(clear)


def test_the_system_prompt_mostly_has_the_language_of_the_answer(chats: list[Sample]) -> None:
    """As in the product, the persona speaks the language of the message, except in some conversations."""
    prompted = [sample for sample in chats if sample.prompt[0].role == "system"]
    same = sum(language_of(sample.prompt[0].content) == language_of(sample.answer) for sample in prompted)
    assert 0.75 < same / len(prompted) < 0.95


def test_values_that_the_answer_repeats_keep_their_spelling(chats: list[Sample]) -> None:
    """A question has no typo in a name that the answer copies."""
    messages = [(*sample.prompt, ChatMessage(role="assistant", content=sample.answer)) for sample in chats]
    pairs = [(said.content.lower(), answer.content) for own in messages for said, answer in pairwise(own)]
    copies = [(said, match[1]) for said, answer in pairs if (match := GREETED.fullmatch(answer))]
    assert len(copies) > 20
    assert all(name.lower() in said for said, name in copies)
