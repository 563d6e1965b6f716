"""The corpus: written seeds multiplied into the prompts the product makes. Seeded, endless, repeatable."""

from collections.abc import Iterator, Mapping
from random import Random

from core.messages import Locale
from core.mood import LABEL_PROMPTS
from core.prompt import HINTS
from training.asked import with_asked
from training.blind import BLIND, read_labelled, read_questions
from training.chats import ChatWriter
from training.moods import MoodWriter
from training.personas import read_personas
from training.sample import LANGUAGES, Sample
from training.seeds import Seeds, read_seeds

MARKS = " .!?~…。！？～"


def read_all() -> Mapping[Locale, Seeds]:
    """The seeds of every language."""
    return {language: read_seeds(language) for language in LANGUAGES}


def mood_samples(seeds: Mapping[Locale, Seeds], rng: Random) -> Iterator[Sample]:
    """Texts and their labels without end."""
    return unseen(_mood_writer(seeds, rng).samples())


def chat_samples(seeds: Mapping[Locale, Seeds], rng: Random) -> Iterator[Sample]:
    """Conversations without end; what people feel in them comes from the mood seeds."""
    return unseen(ChatWriter(seeds, read_personas(), _mood_writer(seeds, rng), rng).samples())


def texts(seeds: Mapping[Locale, Seeds]) -> Iterator[str]:
    """Every written line once."""
    for read in seeds.values():
        for lines in (*read.mood.values(), *read.slots.values()):
            yield from lines
        for step in (step for block in read.blocks for step in block.steps):
            yield from (*step.questions, *step.answers)


def tokenizer_texts(seeds: Mapping[Locale, Seeds]) -> Iterator[str]:
    """What the tokenizer is cut from: the seeds, and the prompts' words often enough to be one token each."""
    for text in texts(seeds):
        yield text
        yield text.lower()
        yield " " + text.lower()
    for asked in LABEL_PROMPTS.values():
        for _ in range(1000):
            yield from asked.words.values()
            yield asked.frame
            yield asked.system


def user_texts(sample: Sample) -> Iterator[str]:
    """What people say in a sample, without the frame and the hints the product puts around it."""
    return (_unframed(message.content) for message in sample.prompt if message.role == "user")


def held_out() -> frozenset[str]:
    """The sentences of the evaluation, as `plain` has them."""
    labelled = (row.text for name in ("mood.tsv", "attacks.tsv") for row in read_labelled(BLIND / name))
    return frozenset(map(plain, (*labelled, *(question.text for question in read_questions(BLIND / "chat.toml")))))


def plain(text: str) -> str:
    """A sentence without case and closing marks, to tell whether two are the same."""
    return text.strip(MARKS).lower()


def unseen(samples: Iterator[Sample]) -> Iterator[Sample]:
    """The samples in which nobody says a sentence of the evaluation; short ones are in everybody's mouth."""
    kept_back = held_out()
    return (sample for sample in samples if not any(plain(text) in kept_back for text in user_texts(sample)))


def _mood_writer(seeds: Mapping[Locale, Seeds], rng: Random) -> MoodWriter:
    return MoodWriter({language: with_asked(read, language) for language, read in seeds.items()}, rng)


def _unframed(text: str) -> str:
    for before, after in (asked.frame.split("{text}") for asked in LABEL_PROMPTS.values()):
        if text.startswith(before) and text.endswith(after):
            return text[len(before) : -len(after)]
    hint = next((hint for hints in HINTS.values() for hint in hints.values() if text.endswith(hint)), "")
    return text.removesuffix(hint).rstrip("\n")
