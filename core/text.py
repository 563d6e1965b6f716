"""Sanitises text from outside. Admission does it once for every message."""

import re
from hashlib import blake2b

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SURROGATES = re.compile(r"[\ud800-\udfff]")
CUT = "[…]"
"""Stands for what was left out of a text."""
FEWEST = 10
"""Characters of a beginning or an end that are worth keeping."""


def clean(text: str) -> str:
    """The text with normal line ends, without control characters and lone surrogates, stripped."""
    return without_controls(text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def without_controls(text: str) -> str:
    """The text with lone surrogates replaced, and without control characters other than newline and tab."""
    return CONTROLS.sub("", SURROGATES.sub("\ufffd", text))


def shortened(text: str, max_characters: int) -> str:
    """The text with its middle left out, so that it has at most `max_characters`; only `CUT` if these are too few."""
    if len(text) <= max_characters:
        return text
    half = (max_characters - len(CUT)) // 2 - 1
    return f"{text[:half].rstrip()} {CUT} {text[-half:].lstrip()}" if half >= FEWEST else CUT


def size_in_bytes(text: str) -> int:
    """The length of a text in UTF-8; a lone surrogate counts 3."""
    return len(text.encode("utf-8", "surrogatepass"))


def digest(text: str) -> bytes:
    """A 16-byte BLAKE2b digest, for keys that must not contain the text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
