"""Incremental detokenisation: token bytes to text, in whole characters and without stop strings."""

import codecs


class Detokeniser:
    """Decodes one reply token by token.

    Holds back the bytes of an incomplete character, and text that could be the beginning of a stop string.
    """

    __slots__ = ("_decoder", "_held", "_stops", "stopped")

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._held = ""
        self.stopped = False

    def feed(self, token: bytes) -> str:
        """Text that may be shown after this token. Once a stop string is complete, `stopped` is true and text ends."""
        text = self._held + self._decoder.decode(token)
        found = [start for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        shown = len(text) - max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[shown:]
        return text[:shown]

    def close(self) -> str:
        """Text still held back at the end of a reply. The bytes of an incomplete character are dropped."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest suffix of `text` that is a proper prefix of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
