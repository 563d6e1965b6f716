"""Augmentation that keeps the meaning of a sentence: letter case, punctuation, emoji, typos, greetings."""

from random import Random

from core.messages import Label, Locale
from training.chance import likely, pick
from training.phrases import EMOJI, FRAMES

END_MARKS = ".!?。！？…~"
MIN_TYPO_LETTERS = 4
"""Letters a word needs to be misspelt: a typo in a shorter word often makes another word."""
MIN_DROP_WORDS = 4
"""Words a text needs to lose one of them."""
LETTERS = "qwertyuiopasdfghjklzxcvbnm"


def augment_mood_text(text: str, language: Locale, rng: Random, label: Label) -> str:
    """A variant of the text: another phrase before or after it, end, case, a typo or an emoji that fits the label."""
    if likely(rng, 0.12):
        text = _add_phrase(text, language, rng, label)
    text = _change_end(text, language, rng, label)
    text = _change_case(text, rng)
    if likely(rng, 0.06):
        text = add_typo(text, rng)
    if likely(rng, 0.06):
        text = f"{text}{rng.choice(('', ' '))}{rng.choice(EMOJI[label].split())}"
    return text


def augment_question(text: str, language: Locale, rng: Random, *, keep_words: bool = False) -> str:
    """A variant of a question to the bot; `keep_words` rules out typos and missing words."""
    frames = FRAMES[language]
    if likely(rng, 0.2):
        text = rng.choice((*frames.before, *frames.before_question)) + _lower_first(text)
    if likely(rng, 0.08):
        text = text.rstrip(END_MARKS) + rng.choice(frames.after_question)
    if likely(rng, 0.3):
        text = text.rstrip(END_MARKS)
    text = _change_case(text, rng)
    return text if keep_words or likely(rng, 0.85) else rng.choice((add_typo, _drop_word))(text, rng)


def add_typo(text: str, rng: Random) -> str:
    """The text with one typo in a longer Latin word, or unchanged if it has none."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) >= MIN_TYPO_LETTERS and word.isascii() and word.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    words[place] = _misspell(words[place], rng)
    return " ".join(words)


def _drop_word(text: str, rng: Random) -> str:
    """The text without one of its words, or unchanged if it has few."""
    words = text.split(" ")
    if len(words) >= MIN_DROP_WORDS:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def _misspell(word: str, rng: Random) -> str:
    """Drops, swaps, doubles or replaces one letter, never the first or the last."""
    at = rng.randrange(1, len(word) - 1)
    match rng.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 2:
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + rng.choice(LETTERS) + word[at + 1 :]


def _add_phrase(text: str, language: Locale, rng: Random, label: Label) -> str:
    frames = FRAMES[language]
    if likely(rng, 0.2) and text[-1] not in "?？":
        return text.rstrip(END_MARKS) + rng.choice(frames.after)
    is_emphatic = label in {Label.POSITIVE, Label.NEGATIVE} and likely(rng, 0.6)
    return rng.choice(frames.emphatic_before if is_emphatic else frames.before) + _lower_first(text)


def _change_end(text: str, language: Locale, rng: Random, label: Label) -> str:
    if likely(rng, 0.5) or text[-1:] in "?？":
        return text if likely(rng, 0.85) else text.rstrip(END_MARKS)
    is_emphatic = label is not Label.NEUTRAL and likely(rng, 0.35)
    ends = FRAMES[language].emphatic_ends if is_emphatic else FRAMES[language].ends
    return text.rstrip(END_MARKS) + rng.choice(ends)


def _change_case(text: str, rng: Random) -> str:
    match pick(rng, {"lower": 22, "upper": 2, "sentence": 76}):
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case _:
            return text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    """The text as it continues a sentence; the English "I" stays a capital."""
    return text if text[:2] in {"I ", "I'"} else text[:1].lower() + text[1:]
