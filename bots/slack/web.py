"""Slack's Web API as the bot uses it: what can be repeated is a verb of its own, and every failure says what it is.

The library's own retries are off: they would send a post again whose answer was lost.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec
from urllib.parse import urlsplit

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bots.slack.forms import Form
from bots.slack.places import Bot, Place
from core.clock import Clock
from core.errors import DeliveryFailed, ParleyError
from core.messages import Person

P = ParamSpec("P")
log = structlog.get_logger()

TRANSIENT = {"", "ratelimited", "fatal_error", "internal_error", "service_unavailable", "request_timeout"}
BAD_TOKEN = {
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "not_allowed_token_type",
}
RETRY_AFTER, TOKEN_RETRY_AFTER = 2.0, 300.0
"""Seconds until a reply is offered again: after a failure of Slack or the network, and without a usable token."""
PAGE = 200
TAG = "parley_reply"
TOO_MANY, SERVER_ERROR = 429, 500


class NotTaken(ParleyError):
    """Slack will not do this, however often it is asked; `code` is its word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BadToken(DeliveryFailed):
    """Slack does not know the token any more; `code` is its word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(retry_after=TOKEN_RETRY_AFTER)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message of a thread. `tag` is ours, where there is one."""

    ts: str
    user: str
    text: str
    by_bot: bool
    tag: str


class Web:
    """Raises DeliveryFailed where it may go better later, NotTaken where it will not.

    `heard_at` is when Slack last answered, on the monotonic clock.
    """

    def __init__(self, client: AsyncWebClient, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.client = client
        self.heard_at: float | None = None
        self._session = session
        self._clock = clock
        self._quiet_until: dict[str, float] = {}

    async def who(self) -> Bot:
        """Whom the token belongs to."""
        answer = await self._call(self.client.auth_test)
        return Bot(team=str(answer["team_id"]), user=str(answer["user_id"]))

    async def ticket(self, app_token: str) -> str:
        """The URL of a socket, good for one connection."""
        return str((await self._call(self.client.apps_connections_open, app_token=app_token))["url"])

    async def post(self, place: Place, form: Form, tag: str) -> str:
        """Say something in a thread; its ts. Not to be repeated without `find`."""
        answer = await self._call(
            self.client.chat_postMessage,
            channel=place.channel,
            thread_ts=place.thread,
            metadata={"event_type": TAG, "event_payload": {"tag": tag}},
            unfurl_links=False,
            unfurl_media=False,
            **{name: value for name, value in form.fields().items() if value},  # type: ignore[arg-type]  # JSON
        )
        return str(answer["ts"])

    async def update(self, place: Place, ts: str, form: Form) -> None:
        """Make a message say something else. May be repeated."""
        await self._call(self.client.chat_update, channel=place.channel, ts=ts, **form.fields())  # type: ignore[arg-type]  # JSON

    async def delete(self, place: Place, ts: str) -> None:
        """Take a message away. May be repeated: then it is not found."""
        await self._call(self.client.chat_delete, channel=place.channel, ts=ts)

    async def start_stream(self, place: Place, person: Person) -> str:
        """Begin a message that grows before somebody's eyes; its ts. Not to be repeated, nor ever found again."""
        answer = await self._call(
            self.client.chat_startStream,
            channel=place.channel,
            thread_ts=place.thread,
            recipient_team_id=person.workspace,
            recipient_user_id=person.id,
        )
        return str(answer["ts"])

    async def append_to_stream(self, place: Place, ts: str, text: str) -> None:
        """Let a stream say more, in Markdown. Not to be repeated."""
        await self._call(self.client.chat_appendStream, channel=place.channel, ts=ts, markdown_text=text)

    async def stop_stream(self, place: Place, ts: str) -> None:
        """End a stream. May be repeated: then it is none any more."""
        await self._call(self.client.chat_stopStream, channel=place.channel, ts=ts)

    async def replies(self, place: Place, *, oldest: str = "") -> Sequence[Said]:
        """What was said in a thread since `oldest`, its first message always included."""
        answer = await self._call(
            self.client.conversations_replies,
            channel=place.channel,
            ts=place.thread,
            oldest=oldest or None,
            inclusive=True,
            limit=PAGE,
            include_all_metadata=True,
        )
        return [_said(message) for message in answer["messages"]]

    async def status(self, place: Place, words: str) -> None:
        """Show what the bot does, until its next message; empty to show nothing."""
        await self._call(
            self.client.assistant_threads_setStatus, channel_id=place.channel, thread_ts=place.thread, status=words
        )

    async def suggest(self, channel: str, title: str, prompts: Sequence[str]) -> None:
        """Offer something to begin with."""
        offered = [{"title": prompt, "message": prompt} for prompt in prompts]
        await self._call(
            self.client.assistant_threads_setSuggestedPrompts, channel_id=channel, title=title, prompts=offered
        )

    async def respond(self, url: str, form: Form) -> None:
        """Answer a slash command for nobody but who gave it."""
        host, ours = urlsplit(url).hostname or "", urlsplit(self.client.base_url).hostname
        if host != ours and not host.endswith(f".{ours}"):
            raise NotTaken("foreign_response_url")
        try:
            async with self._session.post(url, json={"response_type": "ephemeral", "text": form.text}) as answer:
                if answer.status == TOO_MANY or answer.status >= SERVER_ERROR:
                    raise DeliveryFailed(retry_after=float(answer.headers.get("Retry-After", RETRY_AFTER)))
                if not answer.ok:
                    raise NotTaken("response_url_expired")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryFailed(retry_after=RETRY_AFTER) from error

    async def _call(
        self,
        method: Callable[P, Awaitable[AsyncSlackResponse]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> AsyncSlackResponse:
        channel = str(kwargs.get("channel", ""))
        self._check_quiet(channel)
        try:
            answer = await method(*args, **kwargs)
        except SlackApiError as error:
            raise self._failure(channel, error) from None  # its text quotes what was sent
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryFailed(retry_after=RETRY_AFTER) from error
        self.heard_at = self._clock.monotonic()
        return answer

    def _check_quiet(self, channel: str) -> None:
        """Where Slack has asked for quiet, there is quiet."""
        left = self._quiet_until.get(channel, 0.0) - self._clock.monotonic()
        if left > 0:
            raise DeliveryFailed(retry_after=left)
        self._quiet_until.pop(channel, None)

    def _failure(self, channel: str, error: SlackApiError) -> ParleyError:
        response = error.response
        if not isinstance(response, AsyncSlackResponse):  # what came was not even JSON
            return DeliveryFailed(retry_after=RETRY_AFTER)
        code = str(response.get("error") or "")
        if response.status_code == TOO_MANY or code == "ratelimited":
            seconds = float(response.headers.get("Retry-After", 30))
            self._quiet_until[channel] = self._clock.monotonic() + seconds
            return DeliveryFailed(retry_after=seconds)
        if code in BAD_TOKEN:
            log.error("slack does not take our token", reason=code)
            return BadToken(code)
        if response.status_code >= SERVER_ERROR or code in TRANSIENT:
            return DeliveryFailed(retry_after=RETRY_AFTER)
        return NotTaken(code)


def _said(message: Mapping[str, object]) -> Said:
    tag = ""
    match message.get("metadata"):
        case {"event_type": str(kind), "event_payload": {"tag": str(ours)}} if kind == TAG:
            tag = ours
    return Said(
        ts=str(message.get("ts", "")),
        user=str(message.get("user", "")),
        text=str(message.get("text", "")),
        by_bot="bot_id" in message,
        tag=tag,
    )
