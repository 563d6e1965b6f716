"""What people do to a sentence without changing what it says: case, punctuation, emoji, typos, greetings."""

from random import Random

from core.messages import Label, Locale
from training.chance import likely, pick
from training.phrases import EMOJI, FRAMES

STOPS = ".!?。！？…~"
SHORTEST = 4
"""Letters of a word that may be misspelt: a slip in a shorter one makes another word."""
KEYS = "qwertyuiopasdfghjklzxcvbnm"


def vary(text: str, language: Locale, rng: Random, label: Label) -> str:
    """The text as another person might have typed it, and with what shows that mood."""
    if likely(rng, 0.12):
        text = _framed(text, language, rng, label)
    text = _ended(text, language, rng, label)
    text = _cased(text, rng)
    if likely(rng, 0.06):
        text = typo(text, rng)
    if likely(rng, 0.06):
        text = f"{text}{rng.choice(('', ' '))}{rng.choice(EMOJI[label].split())}"
    return text


def ask(text: str, language: Locale, rng: Random, *, exact: bool = False) -> str:
    """A question to the bot as another person might have typed it; `exact` keeps the spelling of every word."""
    frames = FRAMES[language]
    if likely(rng, 0.2):
        text = rng.choice((*frames.before, *frames.asking)) + _uncapital(text)
    if likely(rng, 0.08):
        text = text.rstrip(STOPS) + rng.choice(frames.asked)
    if likely(rng, 0.3):
        text = text.rstrip(STOPS)
    text = _cased(text, rng)
    return text if exact or likely(rng, 0.85) else rng.choice((typo, _shortened))(text, rng)


def typo(text: str, rng: Random) -> str:
    """One slip of the finger in a longer Latin word; the text itself where there is none."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) >= SHORTEST and word.isascii() and word.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    words[place] = _slip(words[place], rng)
    return " ".join(words)


def _shortened(text: str, rng: Random) -> str:
    """The text without one of its words, where it has many."""
    words = text.split(" ")
    if len(words) >= SHORTEST:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    match rng.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 2:
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + rng.choice(KEYS) + word[at + 1 :]


def _framed(text: str, language: Locale, rng: Random, label: Label) -> str:
    frames = FRAMES[language]
    if likely(rng, 0.2) and text[-1] not in "?？":
        return text.rstrip(STOPS) + rng.choice(frames.after)
    feeling = label in {Label.POSITIVE, Label.NEGATIVE} and likely(rng, 0.6)
    return rng.choice(frames.feeling_before if feeling else frames.before) + _uncapital(text)


def _ended(text: str, language: Locale, rng: Random, label: Label) -> str:
    if likely(rng, 0.5) or text[-1:] in "?？":
        return text if likely(rng, 0.85) else text.rstrip(STOPS)
    strong = label is not Label.NEUTRAL and likely(rng, 0.35)
    ends = FRAMES[language].strong_ends if strong else FRAMES[language].ends
    return text.rstrip(STOPS) + rng.choice(ends)


def _cased(text: str, rng: Random) -> str:
    match pick(rng, {"lower": 22, "upper": 2, "sentence": 76}):
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case _:
            return text[:1].upper() + text[1:]


def _uncapital(text: str) -> str:
    return text if text[:2] in {"I ", "I'"} else text[:1].lower() + text[1:]
