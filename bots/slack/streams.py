"""Previews as Slack's streams: a message is started, appended to, and stopped.

An open stream cannot be edited or deleted. Slack ends it by itself after five minutes, by some reports after 30 seconds
without an append (slackapi/python-slack-sdk#1859). Once it has ended it is an ordinary message.
"""

from collections import deque
from dataclasses import dataclass

import structlog

from bots.slack.api import Place, Session, SlackApi
from core.clock import Clock
from core.errors import DeliveryFailed, DeliveryRejected
from core.messages import Person

log = structlog.get_logger()

MAX_STARTS, STARTS_WINDOW = 15, 60.0
"""Most starts of streams in a window of seconds. Slack allows about 20 starts, and stops, a minute per workspace."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Stream:
    """`text` is the content so far. It is unknown once `can_append` is false."""

    place: Place
    ts: str
    text: str = ""
    can_append: bool = True


class Streams:
    """The open streams of the turns being answered."""

    def __init__(self, api: SlackApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._open: dict[int, _Stream] = {}
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._without_streams: set[str] = set()

    async def begin(self, turn_id: int, place: Place, person: Person) -> str:
        """Start a stream; its ts, empty if the channel has no streams or the rate limit is reached. Not idempotent."""
        now = self._clock.monotonic()
        if place.channel in self._without_streams or self._is_limited(now):
            return ""
        self._starts.append(now)
        try:
            ts = await self._api.start_stream(place, person)
        except DeliveryRejected as error:
            log.info("no stream here", reason=error.reason)
            self._without_streams.add(place.channel)
            return ""
        self._open[turn_id] = _Stream(place=place, ts=ts)
        return ts

    def adopt(self, turn_id: int, place: Place, ts: str) -> None:
        """Take over a stream of an earlier process. Its content is unknown, so it will only be stopped."""
        self._open[turn_id] = _Stream(place=place, ts=ts, can_append=False)

    async def show(self, turn_id: int, text: str) -> bool:
        """Append what is new in `text`; False if the stream has ended and the message is to be edited instead.

        A stream that cannot be appended to is stopped. Raises DeliveryFailed if that fails too.
        """
        stream = self._open.get(turn_id)
        if stream is None:
            return False
        # The end of a code block can change the escaping of the text before it.
        if stream.can_append and text.startswith(stream.text):
            stream.can_append = await self._append(stream, _up_to_last_space(text.removeprefix(stream.text)))
        else:
            stream.can_append = False
        if not stream.can_append:
            await self.end(turn_id, stream.place, stream.ts, Session.PROCESSING)
        return stream.can_append

    async def end(self, turn_id: int, place: Place, ts: str, then: Session) -> None:
        """Stop a stream, which becomes an ordinary message, and set the status of its session.

        Idempotent. Raises DeliveryFailed.
        """
        try:
            await self._api.stop_stream(place, ts, then)
        except DeliveryRejected as error:  # Slack has ended it, or a person has deleted it
            log.debug("stream not stopped", turn=turn_id, reason=error.reason)
        self._open.pop(turn_id, None)

    def drop(self, turn_id: int) -> None:
        """Forget a stream, since another gateway has its turn."""
        self._open.pop(turn_id, None)

    async def end_all(self) -> None:
        for turn_id, stream in list(self._open.items()):
            try:
                await self.end(turn_id, stream.place, stream.ts, Session.PROCESSING)
            except DeliveryFailed:
                log.info("stream left open", turn=turn_id)

    def _is_limited(self, now: float) -> bool:
        return len(self._starts) == MAX_STARTS and now < self._starts[0] + STARTS_WINDOW

    async def _append(self, stream: _Stream, text: str) -> bool:
        """Whether the append succeeded. After a failure the content is unknown: Slack may have appended the text."""
        try:
            if text:
                await self._api.append_to_stream(stream.place, stream.ts, text)
        except (DeliveryFailed, DeliveryRejected) as error:
            log.info("stream ended", reason=error.reason)
            return False
        stream.text += text
        return True


def _up_to_last_space(text: str) -> str:
    """The text up to its last space, or all of it: Slack may drop a space at the beginning of an append."""
    return text[: max(text.rfind(" "), text.rfind("\n")) + 1] or text
