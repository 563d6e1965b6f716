"""Answers that grow in Slack's own way: a message is begun, appended to, and stopped. A preview, and nothing more.

A stream cannot be edited or deleted while it is open, and Slack ends it by itself: five minutes after its beginning, by
some reports after half a minute of silence (slackapi/python-slack-sdk#1859). Then it is a message like any other.
"""

from collections import deque
from dataclasses import dataclass

import structlog

from bots.slack.places import Place
from bots.slack.web import NotTaken, Web
from core.clock import Clock
from core.errors import DeliveryFailed
from core.messages import Person

log = structlog.get_logger()

MOST, WITHIN = 15, 60.0
"""Streams begun in so many seconds: Slack takes some twenty a minute in a workspace, and as many ends."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Stream:
    """`text` is what stands in it, as far as `grows` says that this is known."""

    place: Place
    ts: str
    text: str = ""
    grows: bool = True


class Streams:
    """The open streams of the turns at hand."""

    def __init__(self, web: Web, clock: Clock) -> None:
        self._web = web
        self._clock = clock
        self._open: dict[int, _Stream] = {}
        self._begun: deque[float] = deque(maxlen=MOST)
        self._refused: set[str] = set()

    async def begin(self, turn_id: int, place: Place, person: Person) -> str:
        """Open a stream for a person; its ts, empty where Slack offers none, or not so many. Not to be repeated."""
        now = self._clock.monotonic()
        if place.channel in self._refused or (len(self._begun) == MOST and now < self._begun[0] + WITHIN):
            return ""
        self._begun.append(now)
        try:
            ts = await self._web.start_stream(place, person)
        except NotTaken as error:
            log.info("no stream here", reason=error.code)
            self._refused.add(place.channel)
            return ""
        self._open[turn_id] = _Stream(place=place, ts=ts)
        return ts

    def take_up(self, turn_id: int, place: Place, ts: str) -> None:
        """Take over a stream of which nobody knows what stands in it."""
        self._open[turn_id] = _Stream(place=place, ts=ts, grows=False)

    async def grow(self, turn_id: int, text: str) -> bool:
        """Append what is new in a text; False if the message is no stream any more and wants to be edited.

        Raises DeliveryFailed if it is neither: a stream that will not grow is stopped first.
        """
        stream = self._open.get(turn_id)
        if stream is None:
            return False
        if stream.grows and text.startswith(stream.text):
            stream.grows = await self._append(stream, _to_the_last_space(text.removeprefix(stream.text)))
        else:  # a code block that closes can change how what stands before it is written
            stream.grows = False
        if not stream.grows:
            await self.end(turn_id, stream.place, stream.ts)
        return stream.grows

    async def end(self, turn_id: int, place: Place, ts: str) -> None:
        """Make an ordinary message of a stream. May be repeated. Raises DeliveryFailed."""
        try:
            await self._web.stop_stream(place, ts)
        except NotTaken as error:  # it has ended by itself, or is gone
            log.debug("stream not stopped", turn=turn_id, reason=error.code)
        self._open.pop(turn_id, None)

    def drop(self, turn_id: int) -> None:
        """Leave a stream to whoever has its turn now."""
        self._open.pop(turn_id, None)

    async def end_all(self) -> None:
        for turn_id, stream in list(self._open.items()):
            try:
                await self.end(turn_id, stream.place, stream.ts)
            except DeliveryFailed:
                log.info("stream left open", turn=turn_id)

    async def _append(self, stream: _Stream, text: str) -> bool:
        """Whether the stream goes on. A failure may have appended all the same: what stands there is not known then."""
        try:
            if text:
                await self._web.append_to_stream(stream.place, stream.ts, text)
        except (DeliveryFailed, NotTaken) as error:
            log.info("stream ended", error=type(error).__name__)
            return False
        stream.text += text
        return True


def _to_the_last_space(text: str) -> str:
    """The text up to its last space, if there is one: Slack may lose a space that an append begins with."""
    return text[: max(text.rfind(" "), text.rfind("\n")) + 1] or text
