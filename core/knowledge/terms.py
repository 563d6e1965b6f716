"""From a text to the terms that are searched: words, and pieces of words that survive endings and typing errors."""

import re
import unicodedata
from functools import cache
from itertools import pairwise

from opencc import OpenCC

from core.language import HAN

TOKEN = re.compile(rf"[a-z0-9]+(?:['’][a-z]+)?|(?:{HAN.pattern})+|[^\W_]+")
GRAM = 4
"""Characters of a piece of a word in an alphabet."""
ENGLISH = (
    "a about am an and any anyone anything are as at be been but by can could did do does for from get got had has have"
    " hello hey hi how i i'd i'm if in into is it it's its just know let like may me might my need of on one or our out"
    " please so some someone tell than thank thanks that that's the their them then there these they this those to too"
    " u us wanna want was we were what what's when where which who will with would you your yours"
)
FUNCTION_WORDS = frozenset(ENGLISH.split())
FUNCTION_CHARACTERS = frozenset(
    "的了吗呢吧啊呀嘛么们你您我他她它请问想要有没是不在能可以会和与或就也都还个这那哪什怎样为谁几多很把被给对"
)
"""Chinese characters that mostly carry grammar. A pair of them is a function word too."""


def folded(text: str) -> str:
    """The text in lower case and compatible forms, in simplified characters."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _simplifier().convert(plain) if HAN.search(plain) else plain


def words(text: str) -> list[str]:
    """Words of a folded text; of Chinese, the characters and their pairs."""
    found: list[str] = []
    for token in TOKEN.findall(text):
        if HAN.match(token):
            found += token
            found += map("".join, pairwise(token))
        else:
            found.append(token.replace("’", "'"))
    return found


def grams(text: str) -> list[str]:
    """Pieces of the words of a folded text, with "_" at their ends; of Chinese, pairs of characters."""
    found: list[str] = []
    for token in TOKEN.findall(text):
        if HAN.match(token):
            found += map("".join, pairwise(token)) if len(token) > 1 else [token]
        elif token not in FUNCTION_WORDS:
            padded = f"_{token}_"
            found += [padded[at : at + GRAM] for at in range(max(1, len(padded) - GRAM + 1))]
    return found


def is_function(term: str) -> bool:
    """Whether a term carries grammar and no topic."""
    return term in FUNCTION_WORDS or FUNCTION_CHARACTERS.issuperset(term)


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")
