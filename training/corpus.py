"""Corpus generator: endless samples from the seed texts, as the product prompts the model.

The same state of the random generator gives the same samples.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from random import Random

from core.messages import Locale
from core.mood import mood_prompts
from core.prompt import HINTS
from training.blind import ATTACKS, BLIND, MOODS, QUESTIONS, read_labelled, read_questions
from training.chats import ChatWriter
from training.moods import MoodWriter
from training.personas import read_personas
from training.questions import with_questions
from training.sample import LANGUAGES, Sample
from training.seeds import Seeds, read_seeds

END_MARKS = " .!?~…。！？～"


def read_all_seeds() -> Mapping[Locale, Seeds]:
    """Seeds of every language."""
    return {language: read_seeds(language) for language in LANGUAGES}


def mood_samples(seeds: Mapping[Locale, Seeds], rng: Random) -> Iterator[Sample]:
    """Endless mood prompts, each answered by its label's word."""
    return without(held_out_moods(), _mood_writer(seeds, rng).samples())


def chat_samples(seeds: Mapping[Locale, Seeds], rng: Random) -> Iterator[Sample]:
    """Endless conversations. Mood slots in them are filled from the mood seeds."""
    return without(held_out_questions(), ChatWriter(seeds, read_personas(), _mood_writer(seeds, rng), rng).samples())


def seed_texts(seeds: Mapping[Locale, Seeds]) -> Iterator[str]:
    """Each line of the seeds once."""
    for own in seeds.values():
        for lines in (*own.mood.values(), *own.slots.values()):
            yield from lines
        for step in (step for block in own.blocks for step in block.steps):
            yield from (*step.questions, *step.answers)


def tokenizer_texts(seeds: Mapping[Locale, Seeds]) -> Iterator[str]:
    """Training texts of the tokenizer: the seeds, and mood prompts, repeated so that each label becomes one token."""
    for text in seed_texts(seeds):
        yield text
        yield text.lower()
        yield " " + text.lower()
    for prompt in mood_prompts().values():
        for _ in range(1000):
            yield from chain.from_iterable(prompt.words.values())
            yield prompt.system


def user_texts(sample: Sample) -> Iterator[str]:
    """User messages of a sample, without the examples of a mood prompt and without the mood hint."""
    return (_without_hint(message.content) for message in sample.prompt[sample.shared :] if message.role == "user")


def held_out_moods() -> frozenset[str]:
    """Texts whose mood is evaluated, normalised."""
    return frozenset(normalised(row.text) for name in (*MOODS, *ATTACKS) for row in read_labelled(BLIND / name))


def held_out_questions() -> frozenset[str]:
    """Questions whose answers are evaluated, normalised."""
    return frozenset(normalised(question.text) for name in QUESTIONS for question in read_questions(BLIND / name))


def normalised(text: str) -> str:
    """The text in lower case and without final punctuation, for comparison."""
    return text.strip(END_MARKS).lower()


def without(excluded: Collection[str], samples: Iterator[Sample]) -> Iterator[Sample]:
    """Drops the samples with a user message that is evaluated: common short sentences occur in seeds and evaluation.

    A conversation does not tell the label of a message, so what is held out of the moods may occur in conversations:
    nearly everybody begins with "hello".
    """
    return (sample for sample in samples if not any(normalised(text) in excluded for text in user_texts(sample)))


def _mood_writer(seeds: Mapping[Locale, Seeds], rng: Random) -> MoodWriter:
    return MoodWriter({language: with_questions(own, language) for language, own in seeds.items()}, rng)


def _without_hint(text: str) -> str:
    hint = next((hint for hints in HINTS.values() for hint in hints.values() if text.endswith(hint)), "")
    return text.removesuffix(hint).rstrip("\n")
