"""The corpus generator, tested on the shipped seeds."""

import hashlib
from collections.abc import Mapping
from itertools import islice
from random import Random

import pytest

from core.language import language_of
from core.messages import Exchange, Label, Locale, Mood
from core.mood import mood_prompts
from core.prompt import HINTS, chat_prompt
from training.blind import BLIND, read_questions
from training.corpus import (
    chat_samples,
    held_out_moods,
    held_out_questions,
    mood_samples,
    normalised,
    read_all_seeds,
    user_texts,
    without,
)
from training.personas import read_personas
from training.questions import with_questions
from training.sample import LANGUAGES, Sample
from training.seeds import Seeds, parse_chat, parse_mood, read_seeds
from training.slots import SLOT
from training.train import Recipe

COUNT = 400
SHIPPED = "63ecc31a510de6fcea351b8c9d816acd9eeffeb30594a49ea83d30af94b92bb9"
"""SHA-256 of the first samples of the corpus that the shipped model was trained on."""


@pytest.fixture(scope="module")
def seeds() -> Mapping[Locale, Seeds]:
    return read_all_seeds()


def moods(seeds: Mapping[Locale, Seeds], seed: int = 1) -> list[Sample]:
    return list(islice(mood_samples(seeds, Random(seed)), COUNT))


def chats(seeds: Mapping[Locale, Seeds], seed: int = 1) -> list[Sample]:
    return list(islice(chat_samples(seeds, Random(seed)), COUNT))


def test_same_seed_same_corpus(seeds: Mapping[Locale, Seeds]) -> None:
    """The same random seed gives the same samples, another seed gives others."""
    assert moods(seeds) == moods(read_all_seeds())
    assert chats(seeds) == chats(read_all_seeds())
    assert moods(seeds) != moods(seeds, 2)
    assert chats(seeds) != chats(seeds, 2)


def test_the_corpus_is_that_of_the_shipped_model(seeds: Mapping[Locale, Seeds]) -> None:
    """The recipe's random seeds give the samples that the shipped model was trained on, or it cannot be reproduced."""
    recipe = Recipe()
    digest = hashlib.sha256()
    for samples in (mood_samples(seeds, Random(recipe.seed)), chat_samples(seeds, Random(recipe.seed + 1))):
        for sample in islice(samples, 5000):
            digest.update("\0".join((*(message.content for message in sample.prompt), sample.answer)).encode())
    assert digest.hexdigest() == SHIPPED


def test_mood_prompts_are_the_products(seeds: Mapping[Locale, Seeds]) -> None:
    """Every mood sample is the product's prompt for a text in its own language, answered by a label's word."""
    for sample in moods(seeds):
        text = sample.prompt[-1].content
        openings = {asked.opening: language for language, asked in mood_prompts().items()}
        language = openings[sample.prompt[: sample.shared]]
        assert sample.prompt == mood_prompts()[language].ask(text)
        assert (language_of(text) or language) == language
        assert sample.answer in [word for word, *_ in mood_prompts()[language].words.values()]


def test_moods_are_balanced(seeds: Mapping[Locale, Seeds]) -> None:
    """Each label of each language makes up about a sixth of the mood samples."""
    answers = [(sample.prompt[: sample.shared], sample.answer) for sample in moods(seeds)]
    for asked in mood_prompts().values():
        for word, *_ in asked.words.values():
            assert COUNT / 12 < answers.count((asked.opening, word)) < COUNT / 4


def test_chat_prompts_are_the_products(seeds: Mapping[Locale, Seeds]) -> None:
    """Every chat sample is the prompt of `chat_prompt` for its persona, history and message, mood hint included."""
    personas = {system: (persona, locale) for persona in read_personas() for locale, system in persona.system.items()}
    for sample in chats(seeds):
        head, *rest = sample.prompt
        if head.role != "system":
            continue
        persona, locale = personas[head.content]
        history = [
            Exchange(question=question.content, answer=answer.content, tokens=0)
            for question, answer in zip(rest[:-1:2], rest[1:-1:2], strict=True)
        ]
        assert sample.prompt == chat_prompt(persona, locale, history, rest[-1].content)
        assert not any(hint in one.question for one in history for hints in HINTS.values() for hint in hints.values())


def test_no_slot_is_left_open(seeds: Mapping[Locale, Seeds]) -> None:
    """No text of the corpus contains an unfilled slot."""
    for sample in (*moods(seeds), *chats(seeds)):
        assert not SLOT.search("".join(message.content for message in sample.prompt) + sample.answer)


def test_the_evaluation_is_blind(seeds: Mapping[Locale, Seeds]) -> None:
    """No text whose mood is evaluated has a label in the corpus, and no evaluated question an answer."""
    for samples, excluded in ((moods(seeds), held_out_moods()), (chats(seeds), held_out_questions())):
        assert excluded
        assert excluded.isdisjoint(normalised(text) for sample in samples for text in user_texts(sample))


def test_conversations_begin_with_everyday_greetings(seeds: Mapping[Locale, Seeds]) -> None:
    """Greetings are among the texts whose mood is evaluated; conversations contain them nevertheless."""
    used = {normalised(text) for sample in chats(seeds) for text in user_texts(sample)}
    assert {"hi there", "你好"} <= used & held_out_moods()


def test_a_sentence_of_the_evaluation_is_dropped() -> None:
    """A sample with an evaluated sentence is dropped, with or without the product's mood hint."""
    sentence = normalised(read_questions(BLIND / "chat.toml")[0].text)
    asked = mood_prompts()["en"]
    shared = len(asked.opening)
    mood = Sample(prompt=asked.ask(f"{sentence}!"), answer="question", shared=shared)
    hint = Mood(label=Label.NEGATIVE, confidence=1.0)
    chat = Sample(prompt=chat_prompt(read_personas()[0], "en", (), sentence, hint), answer="Hello!", shared=1)
    fine = Sample(prompt=asked.ask("nobody says this"), answer="question", shared=shared)
    assert list(without(held_out_questions(), iter([mood, chat, fine]))) == [fine]


def test_seeds_of_both_languages_cover_every_label() -> None:
    """Each language has sentences and clauses for every label, templates, and more than 100 dialogues."""
    for language in LANGUAGES:
        seeds = read_seeds(language)
        assert all((label, kind) in seeds.mood for label in Label for kind in ("sentence", "clause"))
        assert ("any", "template") in seeds.mood
        assert len(seeds.blocks) > 100


def test_a_heading_needs_a_known_label() -> None:
    """A heading with an unknown label is an error, so that no entry is lost."""
    with pytest.raises(ValueError, match="not a heading"):
        parse_mood(iter(["# positve sentence", "I love it"]))


def test_a_question_needs_an_answer() -> None:
    """A dialogue without an answer is an error."""
    with pytest.raises(ValueError, match="missing"):
        list(parse_chat("Q: Hello\nQ: Hi\n"))


def test_wordings_belong_to_one_step() -> None:
    """Successive question lines are wordings of one question; a question after an answer or `...` begins a new step."""
    (block,) = parse_chat("@positive\nQ: a\nQ: b\nA: c\nA: d\n...\nU: e\nB: f\n")
    assert [(step.questions, step.answers, step.gap) for step in block.steps] == [
        (("a", "b"), ("c", "d"), False),
        (("e",), ("f",), True),
    ]
    assert block.mood is Label.POSITIVE


def test_questions_of_the_dialogues_are_mood_entries_too() -> None:
    """Questions have the mood of their dialogue, or neutral if it has none; remarks without a mood are left out."""
    blocks = parse_chat("Q: Are you open?\nQ: My day was awful\nA: Yes.\n\n@negative\nQ: I am sad {place}\nA: Oh.\n")
    mood = with_questions(Seeds(mood={}, blocks=tuple(blocks), slots={"place": ("here",)}), "en")
    assert mood[Label.NEUTRAL, "question"] == ("Are you open?",)
    assert mood[Label.NEGATIVE, "question"] == ("I am sad {place}",)
    assert mood["any", "place"] == ("here",)
