"""Sanitises text from outside. Admission does it once for every message."""

import re
from hashlib import blake2b

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with normal line ends, without control characters and lone surrogates, stripped."""
    return without_controls(text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def without_controls(text: str) -> str:
    """The text with lone surrogates replaced, and without control characters other than newline and tab."""
    return CONTROLS.sub("", SURROGATES.sub("\ufffd", text))


def last_lines(text: str, max_bytes: int) -> str:
    """The last whole lines of a text that fit into `max_bytes` of UTF-8."""
    lines = text.splitlines()
    while lines and size_in_bytes("\n".join(lines)) > max_bytes:
        del lines[0]
    return "\n".join(lines)


def size_in_bytes(text: str) -> int:
    """The length of a text in UTF-8; a lone surrogate counts 3."""
    return len(text.encode("utf-8", "surrogatepass"))


def digest(text: str) -> bytes:
    """A 16-byte BLAKE2b digest, for keys that must not contain the text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
