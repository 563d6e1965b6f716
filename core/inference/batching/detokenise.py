"""From tokens' bytes to text that can be shown: whole characters only, and nothing of a stop string."""

import codecs


class TextStream:
    """The text of one reply, fed token by token.

    Bytes that are not yet a character are held back, and so is text that could be the beginning of a stop string.
    """

    __slots__ = ("_decoder", "_held", "_stops", "stopped")

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._held = ""
        self.stopped = False

    def feed(self, token: bytes) -> str:
        """The text that may be shown now. After a stop string, `stopped` is true and no more text comes."""
        text = self._held + self._decoder.decode(token)
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        shown = len(text) - max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[shown:]
        return text[:shown]

    def close(self) -> str:
        """The text held back when a reply ends without its stop string. Half a character is dropped."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
