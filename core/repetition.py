"""Detects a reply that repeats itself, as small models do until the length limit."""

import re
from collections import Counter

REPEATS = 3
"""A sentence may occur fewer times than this in a reply."""
MIN_WIDTH = 12
"""Width of the shortest sentence that counts, in Latin characters; a Chinese character counts as three."""
SENTENCE = re.compile(r"(?:[^.!?。！？\n]|(?<=\d)\.)+[.!?。！？\n]+")
"""A finished sentence; "3." begins one. The last sentence of a growing text does not match before its end mark."""
NUMBERING = re.compile(r"^[\s\d#>*()\-+•、.）]+")
CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)


def loop_start(text: str) -> int | None:
    """Where a sentence begins for the third time; None if none does.

    Numbering, letter case and end marks make no difference. Code repeats its lines rightly, so it is skipped.
    """
    seen: Counter[str] = Counter()
    for sentence in SENTENCE.finditer(CODE.sub(lambda code: "\0" * len(code[0]), text)):
        words = NUMBERING.sub("", sentence[0]).strip(" .!?。！？\n*\0").casefold()
        if _width(words) < MIN_WIDTH:
            continue
        seen[words] += 1
        if seen[words] == REPEATS:
            return sentence.start()
    return None


def _width(text: str) -> int:
    return sum(1 if char.isascii() else 3 for char in text)
