"""Text from outside, made safe to store, to count and to read: done once, at the door."""

import re
from hashlib import blake2b

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without what breaks stores, tokenizers and terminals, nor space around it."""
    return without_controls(text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def without_controls(text: str) -> str:
    """The text with lone surrogates replaced and without controls other than newline and tab."""
    return CONTROLS.sub("", SURROGATES.sub("\ufffd", text))


def last_lines(text: str, max_bytes: int) -> str:
    """The end of a text, as many whole lines as there is room for."""
    lines = text.splitlines()
    while lines and size_in_bytes("\n".join(lines)) > max_bytes:
        del lines[0]
    return "\n".join(lines)


def size_in_bytes(text: str) -> int:
    """The length of any text in UTF-8, lone surrogates included."""
    return len(text.encode("utf-8", "surrogatepass"))


def digest(text: str) -> bytes:
    """Any text's fingerprint, 16 bytes, for keys that must not hold the text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
