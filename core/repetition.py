"""Detects a reply that repeats itself, as small models do until the length limit."""

import re
from collections import Counter

REPEATS = 3
"""A sentence may occur fewer times than this in a reply."""
MIN_WIDTH = 12
"""Width of the shortest sentence that counts, in Latin characters; a Chinese character counts as three."""
END = re.compile(r"(?:(?<!\d)\.|[!?。！？\n])+")
"""The end marks of a sentence. "3." begins one."""
NUMBERING = re.compile(r"^[\s\d#>*()\-+•、.）]+")
CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)


def ends_sentence(piece: str) -> bool:
    """Whether a piece of a text finishes a sentence, so that the text can have become a loop."""
    return END.search(piece) is not None


def loop_start(text: str) -> int | None:
    """Where a sentence begins for the third time; None if none does. An unfinished sentence does not count.

    Numbering, letter case and end marks make no difference. Code repeats its lines rightly, so it is skipped.
    """
    seen: Counter[str] = Counter()
    prose = CODE.sub(lambda code: "\0" * len(code[0]), text)
    start = 0
    for end in END.finditer(prose):
        words = NUMBERING.sub("", prose[start : end.start()]).strip(" *\0").casefold()
        seen[words] += _width(words) >= MIN_WIDTH
        if seen[words] == REPEATS:
            return start
        start = end.end()
    return None


def _width(text: str) -> int:
    return sum(1 if char.isascii() else 3 for char in text)
