"""Streamed messages, and when Slack ends a stream by itself.

The times are not documented. Many users measured five minutes in all (slackapi/python-slack-sdk#1859); some report half
a minute without an append.
"""

from dataclasses import dataclass

from tests.fakes.slack.clock import Clock
from tests.fakes.slack.errors import SlackError

LIFETIME, SILENCE = 300.0, 30.0
MAX_CHUNK = 12_000


@dataclass(slots=True, kw_only=True)
class _Stream:
    begun: float
    heard: float


class Streams:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: dict[tuple[str, str], _Stream] = {}

    def begin(self, channel: str, ts: str) -> None:
        self._streams[channel, ts] = _Stream(begun=self._clock.now, heard=self._clock.now)

    def append(self, channel: str, ts: str, text: str) -> None:
        if not self.is_open(channel, ts):
            raise SlackError("message_not_in_streaming_state")
        if not text:
            raise SlackError("no_text")
        if len(text) > MAX_CHUNK:
            raise SlackError("msg_too_long")
        self._streams[channel, ts].heard = self._clock.now

    def stop(self, channel: str, ts: str) -> None:
        if not self.is_open(channel, ts):
            raise SlackError("message_not_in_streaming_state")
        del self._streams[channel, ts]

    def is_open(self, channel: str, ts: str) -> bool:
        stream = self._streams.get((channel, ts))
        now = self._clock.now
        return stream is not None and now < stream.begun + LIFETIME and now < stream.heard + SILENCE

    def open(self) -> list[str]:
        return [ts for channel, ts in self._streams if self.is_open(channel, ts)]
