"""Slots in seed texts: "{city}" stands for a value of the list "city"."""

import re
from collections.abc import Callable
from random import Random

SLOT = re.compile(r"\{([a-z_]+)\d?\}")
"""A slot; group 1 is the name of its list. A digit tells two slots of one list apart: "{city} or {city2}"."""
INTEGER = "integer"
"""The list of all numbers below 100,000; shorter ones are as frequent as longer ones."""
MAX_DIGITS = 5


def slot_names(text: str) -> set[str]:
    """Names of the lists whose values the text needs."""
    return set(SLOT.findall(text))


def fill(text: str, value: Callable[[re.Match[str]], str]) -> str:
    """The text with every slot replaced by its value. Values may contain slots."""
    while SLOT.search(text):
        text = SLOT.sub(value, text)
    return text


def random_integer(rng: Random) -> str:
    """A value of the list `INTEGER`."""
    return str(rng.randrange(10 ** rng.randint(1, MAX_DIGITS)))
