"""Slack's Web API as the bot uses it: one method per call, and failures as errors of `core/errors.py`.

No call is repeated here. The library's own retries are off: they would repeat a post whose answer was lost.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ParamSpec, Self, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bots.connection import Connection
from bots.proxies import refusal_of_proxy
from bots.reading import retry_after
from bots.slack.answers import (
    HEADER,
    RETRY_AFTER,
    Account,
    Posted,
    PostedDirectly,
    Socket,
    Upload,
    read,
    read_body,
    seconds_to_wait,
)
from bots.slack.forms import Form
from bots.slack.identity import Identity
from bots.slack.payloads import TAG_EVENT, ThreadMessage, parse_thread
from core.clock import Clock
from core.errors import AnswerUnreadable, DeliveryFailed, DeliveryRejected, ParleyError, RateLimited, TokenRefused
from core.http_sessions import PROXY_ERRORS
from core.messages import ConversationKey, Person

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
NO_LONGER_OURS = BAD_TOKEN | {"missing_scope", "no_permission", "user_removed_from_team", "team_disabled"}
"""Answers to "who am I" that only an operator can change. All others may pass, such as that of a workspace which is
being moved into an organisation.
"""
TOKEN_RETRY_AFTER = 300.0
"""Seconds until a reply is offered again without a usable token."""
UNREADABLE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What the library raises for an answer that it does not check."""
THREAD_LIMIT = 200
ERROR_CODE = re.compile(r"(?<![a-z])[a-z]++(?:_[a-z]++)+")
TOO_MANY, SERVER_ERROR = 429, 500
Limit: TypeAlias = tuple[str, str]
"""What Slack counts calls by: the method, and the channel if the method has a limit for each."""
LIMITED_BY_CHANNEL = {"chat_postMessage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A thread: its channel, and the ts of its first message."""

    channel: str
    thread: str

    @classmethod
    def of(cls, conversation: ConversationKey) -> Self:
        return cls(channel=conversation.chat, thread=conversation.thread)


class Session(StrEnum):
    """The status of an agent session. While it is processing, Slack shows a sign of it with a button to stop."""

    PROCESSING = "processing"
    ACTIVE = "active"


class SlackApi:
    """Raises DeliveryFailed if a call may succeed later, DeliveryRejected if it will not."""

    def __init__(
        self, client: AsyncWebClient, session: aiohttp.ClientSession, clock: Clock, connection: Connection
    ) -> None:
        self.client = client
        self._session = session
        self._clock = clock
        self._connection = connection
        self._paused_until: dict[Limit, float] = {}

    async def identify(self) -> Identity:
        """The account that the token belongs to."""
        account = read(Account, (await self._call(self.client.auth_test)).data)
        return Identity(team=account.team_id, user=account.user_id, enterprise=account.enterprise_id or "")

    async def socket_url(self, app_token: str) -> str:
        """A URL for Socket Mode, which is good for one connection."""
        return read(Socket, (await self._call(self.client.apps_connections_open, app_token=app_token)).data).url

    async def post(self, place: Place, form: Form, tag: str) -> str:
        """Post a message in a thread, or in the channel itself; its ts.

        Not idempotent: look for the tag in `thread` before posting again.
        """
        answer = await self._call(
            self.client.chat_postMessage,
            channel=place.channel,
            thread_ts=place.thread or None,
            metadata={"event_type": TAG_EVENT, "event_payload": {"tag": tag}},
            unfurl_links=False,
            unfurl_media=False,
            **form.filled(),  # type: ignore[arg-type]  # JSON
        )
        return read(Posted, answer.data).ts

    async def post_directly(self, user: str, form: Form) -> Place:
        """Post a direct message; its channel, and its ts as the thread below it. Not idempotent."""
        answer = await self._call(
            self.client.chat_postMessage,
            channel=user,
            unfurl_links=False,
            unfurl_media=False,
            **form.filled(),  # type: ignore[arg-type]  # JSON
        )
        posted = read(PostedDirectly, answer.data)
        return Place(channel=posted.channel, thread=posted.ts)

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a file that nobody sees before it is shared; its id."""
        answer = await self._call(self.client.files_getUploadURLExternal, filename=name, length=len(content))
        upload = read(Upload, answer.data)
        await self._send(upload.upload_url, "upload_refused", data=content)
        return upload.file_id

    async def share_file(self, place: Place, file: str, title: str) -> None:
        """Share an uploaded file in a thread. Not idempotent: look for it in `thread` before sharing it again."""
        await self._call(
            self.client.files_completeUploadExternal,
            files=[{"id": file, "title": title}],
            channel_id=place.channel,
            thread_ts=place.thread,
        )

    async def update(self, place: Place, ts: str, form: Form) -> None:
        """Replace the content of a message. Idempotent."""
        await self._call(self.client.chat_update, channel=place.channel, ts=ts, **form.fields())  # type: ignore[arg-type]  # JSON

    async def delete(self, place: Place, ts: str) -> None:
        """Delete a message. Raises DeliveryRejected("message_not_found") if it is deleted already."""
        await self._call(self.client.chat_delete, channel=place.channel, ts=ts)

    async def start_stream(self, place: Place, person: Person) -> str:
        """Begin a message that is streamed to a person; its ts. Not idempotent, and it cannot carry a tag."""
        answer = await self._call(
            self.client.chat_startStream,
            channel=place.channel,
            thread_ts=place.thread,
            recipient_team_id=person.workspace,
            recipient_user_id=person.id,
        )
        return read(Posted, answer.data).ts

    async def append_to_stream(self, place: Place, ts: str, text: str) -> None:
        """Append Markdown to a stream. Not idempotent."""
        await self._call(self.client.chat_appendStream, channel=place.channel, ts=ts, markdown_text=text)

    async def stop_stream(self, place: Place, ts: str, then: Session) -> None:
        """End a stream, which becomes an ordinary message, and set the status of its session.

        Raises DeliveryRejected if it has ended already; then the status stays as it is.
        """
        await self._call(self.client.chat_stopStream, channel=place.channel, ts=ts, session_status=then)

    async def thread(self, place: Place, *, oldest: str = "") -> Sequence[ThreadMessage]:
        """The messages of a thread since `oldest`; Slack always includes the first message."""
        answer = await self._call(
            self.client.conversations_replies,
            channel=place.channel,
            ts=place.thread,
            oldest=oldest or None,
            inclusive=True,
            limit=THREAD_LIMIT,
            include_all_metadata=True,
        )
        return parse_thread(answer.get("messages"))

    async def set_session(self, place: Place, status: Session) -> None:
        """Set the status of the agent session in a thread, which is begun if there is none. Idempotent."""
        await self._call(
            self.client.agents_sessions_setStatus, channel_id=place.channel, thread_ts=place.thread, status=status
        )

    async def whisper(self, place: Place, user: str, form: Form) -> None:
        """Post a message that only one person of the channel sees, if they are there and until they reload.

        Not idempotent. The thread of the place may be empty.
        """
        await self._call(
            self.client.chat_postEphemeral,
            channel=place.channel,
            thread_ts=place.thread or None,
            user=user,
            **form.filled(),  # type: ignore[arg-type]  # JSON
        )

    async def suggest(self, channel: str, title: str, prompts: Sequence[str]) -> None:
        """Offer prompts to start a conversation with."""
        offered = [{"title": prompt, "message": prompt} for prompt in prompts]
        await self._call(
            self.client.assistant_threads_setSuggestedPrompts, channel_id=channel, title=title, prompts=offered
        )

    async def language_tag(self, user: str) -> str:
        """The language that a person has set in Slack, such as "zh-CN"; empty if Slack does not tell."""
        answer = await self._call(self.client.users_info, user=user, include_locale=True)
        found = answer.get("user")
        return str(found.get("locale") or "") if isinstance(found, dict) else ""

    async def respond(self, url: str, form: Form) -> None:
        """Answer a slash command at its response URL; only the person who typed it sees the answer. Not idempotent."""
        body: dict[str, object] = {"response_type": "ephemeral", "text": form.text}
        if form.blocks:
            body["blocks"] = [block.to_dict() for block in form.blocks]
        await self._send(url, "response_url_expired", json=body)

    async def _send(self, url: str, refusal: str, *, json: object = None, data: bytes | None = None) -> None:
        """Post to an address that Slack has given. `refusal` is the reason for an error that has none of its own."""
        try:
            host, ours = urlsplit(url).hostname or "", urlsplit(self.client.base_url).hostname
            if host != ours and not host.endswith(f".{ours}"):
                raise DeliveryRejected("foreign_response_url")
            async with self._session.post(url, json=json, data=data) as answer:
                if answer.status == TOO_MANY or answer.status >= SERVER_ERROR:
                    seconds = retry_after(answer.headers.get(HEADER), self._clock.now(), RETRY_AFTER)
                    raise DeliveryFailed(retry_after=seconds)
                if not answer.ok:
                    code = ERROR_CODE.search((await read_body(answer)).decode("utf-8", "replace"))
                    raise DeliveryRejected(code[0] if code else refusal)
        except PROXY_ERRORS as error:
            raise refusal_of_proxy(error) from None
        except (aiohttp.InvalidURL, ValueError):
            raise DeliveryRejected("no_response_url") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryFailed(retry_after=RETRY_AFTER) from error

    async def _call(
        self,
        method: Callable[P, Awaitable[AsyncSlackResponse]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> AsyncSlackResponse:
        limit = _limit_of(method.__name__, str(kwargs.get("channel", "")))
        self._check_pause(limit)
        try:
            answer = await method(*args, **kwargs)
        except SlackApiError as error:
            raise self._translated(limit, error) from None  # its text quotes what was sent
        except PROXY_ERRORS as error:
            raise refusal_of_proxy(error) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryFailed(retry_after=RETRY_AFTER, reason=type(error).__name__) from error
        except UNREADABLE as error:
            raise AnswerUnreadable(retry_after=RETRY_AFTER, reason=type(error).__name__) from None
        self._connection.heard()
        return answer

    def _check_pause(self, limit: Limit) -> None:
        """Make no calls under a limit for the seconds of its Retry-After. Raises RateLimited."""
        left = self._paused_until.get(limit, 0.0) - self._clock.monotonic()
        if left > 0:
            raise RateLimited(retry_after=left, reason="ratelimited")
        self._paused_until.pop(limit, None)

    def _translated(self, limit: Limit, error: SlackApiError) -> ParleyError:
        response = error.response
        if not isinstance(response, AsyncSlackResponse):  # the answer was not JSON
            return DeliveryFailed(retry_after=RETRY_AFTER, reason="no JSON")
        code = str(response.get("error") or "")
        if response.status_code == TOO_MANY or code == "ratelimited":
            seconds = seconds_to_wait(response.headers, self._clock)
            self._paused_until[limit] = self._clock.monotonic() + seconds
            return RateLimited(retry_after=seconds, reason="ratelimited")
        if code in BAD_TOKEN:
            log.error("slack does not take our token", reason=code)
            return TokenRefused(retry_after=TOKEN_RETRY_AFTER, reason=code)
        if response.status_code >= SERVER_ERROR or code in TRANSIENT:
            return DeliveryFailed(retry_after=RETRY_AFTER, reason=code or f"HTTP {response.status_code}")
        return DeliveryRejected(code)


def _limit_of(method: str, channel: str) -> Limit:
    return method, channel if method in LIMITED_BY_CHANNEL else ""
