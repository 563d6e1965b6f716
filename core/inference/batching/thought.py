"""Hides a think block at the beginning of a reply: thinking is switched off, but a model may spell the block out."""

from typing import Final

START: Final = "<think>"
END: Final = "</think>"


class ThoughtFilter:
    """Passes on one reply piece by piece, without think blocks before its first word.

    Holds back text that could be the beginning of such a block.
    """

    __slots__ = ("_held", "_is_past", "_thought")

    def __init__(self) -> None:
        self._held = ""
        self._thought = False
        self._is_past = False

    def feed(self, text: str) -> str:
        """Text that may be shown after this piece."""
        if self._is_past:
            return text
        self._held += text
        while self._held.lstrip().startswith(START) and END in self._held:
            self._thought = True
            self._held = self._held.partition(END)[2]
        begun = self._held.lstrip()
        if begun.startswith(START) or START.startswith(begun):
            return ""
        self._is_past = True
        return begun if self._thought else self._held

    def close(self) -> str:
        """Text still held back at the end of a reply. A think block without an end is dropped."""
        if self._is_past or self._thought or self._held.lstrip().startswith(START):
            return ""
        return self._held
