"""Slack's payloads, parsed as far as Parley reads them. Fields that are absent, null or not read are empty.

A payload comes as JSON by Socket Mode, and as JSON or a form by HTTP; `parse` makes a typed one of each.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from bots.slack.blocks import Blocks, read_blocks, read_message_blocks

M = TypeVar("M", bound=BaseModel)
NO_BLOCKS = Blocks()
OTHER_KIND = "union_tag_invalid"
"""Pydantic's error for a payload, or an event in it, whose kind is none of those that are read."""
FROZEN = ConfigDict(frozen=True, extra="ignore")
TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
TAG_EVENT = "parley_reply"
"""The metadata type of the bot's own messages, whose payload holds a `tag`."""


def _empty_if_null(value: object) -> object:
    return "" if value is None else value


def _own_tag(metadata: object) -> str:
    match metadata:
        case {"event_type": str(kind), "event_payload": {"tag": str(tag)}} if kind == TAG_EVENT:
            return tag
    return ""


def _edited_ts(edited: object) -> str:
    match edited:
        case {"ts": str(ts)} if TS.fullmatch(ts):
            return ts
    return ""


Ts: TypeAlias = Annotated[str, Field(pattern=f"^{TS.pattern}$")]
"""The id of a message within its channel: the epoch seconds at which it was sent, made unique."""
Id: TypeAlias = Annotated[str, Field(min_length=1)]
Text: TypeAlias = Annotated[str, BeforeValidator(_empty_if_null)]


def _list_of(model: type[M]) -> BeforeValidator:
    """Reads the items of a list that have the shape of `model`, without the others."""

    def valid(items: object) -> list[M]:
        found = []
        for item in items if isinstance(items, list) else ():
            try:
                found.append(model.model_validate(item))
            except ValidationError:
                continue
        return found

    return BeforeValidator(valid)


class File(BaseModel):
    """A file; `preview` has the first lines of a text, and `lines_more` is the number of the others."""

    model_config = FROZEN
    id: Text = ""
    mimetype: Text = ""
    subtype: Text = ""
    mode: Text = ""
    plain_text: Text = ""
    preview: Text = ""
    preview_is_truncated: bool | None = None
    lines_more: int | None = None


class AttachmentField(BaseModel):
    model_config = FROZEN
    title: Text = ""
    value: Text = ""


class Attachment(BaseModel):
    """A message that is shared or linked to, a preview of a link, a pasted table, or an app's own words."""

    model_config = FROZEN
    is_share: bool | None = None
    is_msg_unfurl: bool | None = None
    author_id: Text = ""
    bot_id: Text = ""
    pretext: Text = ""
    title: Text = ""
    title_link: Text = ""
    text: Text = ""
    fields: Annotated[tuple[AttachmentField, ...], _list_of(AttachmentField)] = ()
    fallback: Text = ""
    blocks: Annotated[Blocks, BeforeValidator(read_blocks)] = NO_BLOCKS
    message_blocks: Annotated[Blocks, BeforeValidator(read_message_blocks)] = NO_BLOCKS
    files: Annotated[tuple[File, ...], _list_of(File)] = ()

    @property
    def is_message(self) -> bool:
        return bool(self.is_share or self.is_msg_unfurl)


class Content(BaseModel):
    """What a message shows, and who posted it."""

    model_config = FROZEN
    user: Text = ""
    bot_id: Text = ""
    text: Text = ""
    blocks: Annotated[Blocks, BeforeValidator(read_blocks)] = NO_BLOCKS
    attachments: Annotated[tuple[Attachment, ...], _list_of(Attachment)] = ()
    files: Annotated[tuple[File, ...], _list_of(File)] = ()


class UserProfile(BaseModel):
    """What some events tell about the sender; `is_restricted` and `is_ultra_restricted` mark guests."""

    model_config = FROZEN
    team: Text = ""
    is_restricted: bool | None = None
    is_ultra_restricted: bool | None = None


class MessageEvent(Content):
    """A message that was posted. A mention comes as `app_mention` and mostly as `message` too.

    `edited` is the ts of its sender's last edit, if there was one. `user_team` is the sender's workspace or
    organisation, `source_team` the one from which they write; both come only in channels that several workspaces share.
    There, `team` is the sender's too.
    """

    type: Literal["message", "app_mention"]
    channel: Id
    ts: Ts
    thread_ts: Text = ""
    channel_type: Text = ""
    subtype: Text = ""
    client_msg_id: Text = ""
    hidden: bool = False
    edited: Annotated[str, BeforeValidator(_edited_ts)] = ""
    team: Text = ""
    user_team: Text = ""
    source_team: Text = ""
    user_profile: UserProfile | None = None


class PreviousMessage(Content):
    """A message before it was changed or deleted."""

    thread_ts: Text = ""


class MessageChanged(BaseModel):
    """The content of a message was changed: by its sender, or by Slack, which adds previews of links.

    A message with replies that is deleted becomes one of the subtype "tombstone".
    """

    model_config = FROZEN
    subtype: Literal["message_changed"]
    message: MessageEvent
    previous_message: PreviousMessage | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_its_channel(cls, raw: object) -> object:
        """The message itself names neither its channel nor always its type."""
        match raw:
            case {"message": dict(message), **others}:
                kept = {name: others[name] for name in ("channel", "channel_type") if name in others}
                return {**others, "message": {"type": "message", **message, **kept}}
        return raw


class MessageDeleted(BaseModel):
    """A message without replies was deleted."""

    model_config = FROZEN
    subtype: Literal["message_deleted"]
    channel: Id
    deleted_ts: Ts
    previous_message: PreviousMessage | None = None


class HomeOpened(BaseModel):
    """A person opened a tab of their direct messages with the bot."""

    model_config = FROZEN
    type: Literal["app_home_opened"]
    channel: Id
    user: Id
    tab: Text = ""


class Authorization(BaseModel):
    """An installation of the app for which Slack sends an event."""

    model_config = FROZEN
    team_id: Text = ""
    enterprise_id: Text = ""


class SessionStopped(BaseModel):
    """A person pressed the stop button that Slack shows while the bot is processing in a thread.

    Slack has stopped the streams there, and leaves the status of the session to the app
    (docs.slack.dev/reference/events/agent_session_stopped).
    """

    model_config = FROZEN
    type: Literal["agent_session_stopped"]
    channel: Id
    thread_ts: Ts
    user: Id


class Revoked(BaseModel):
    """The app was removed from the workspace, or some of its tokens were revoked, perhaps not the bot's."""

    model_config = FROZEN
    type: Literal["app_uninstalled", "tokens_revoked"]


def _event_kind(raw: object) -> str | None:
    match raw:
        case {"type": "message", "subtype": ("message_changed" | "message_deleted") as kind}:
            return str(kind)
        case {"type": "message" | "app_mention"}:
            return "message"
        case {"type": "app_uninstalled" | "tokens_revoked"}:
            return "revoked"
        case {"type": str(kind)}:
            return kind
    return None


class EventCallback(BaseModel):
    """An event. Slack sends one event several times, with the same id, until it is acknowledged."""

    model_config = FROZEN
    event_id: str
    team_id: Text = ""
    context_team_id: Text = ""
    authorizations: Annotated[tuple[Authorization, ...], _list_of(Authorization)] = ()
    event: Annotated[
        Annotated[MessageEvent, Tag("message")]
        | Annotated[MessageChanged, Tag("message_changed")]
        | Annotated[MessageDeleted, Tag("message_deleted")]
        | Annotated[HomeOpened, Tag("app_home_opened")]
        | Annotated[Revoked, Tag("revoked")]
        | Annotated[SessionStopped, Tag("agent_session_stopped")],
        Discriminator(_event_kind),
    ]


class HasId(BaseModel):
    """A workspace or a channel."""

    model_config = FROZEN
    id: Id


class User(HasId):
    team_id: Text = ""


class ButtonMessage(BaseModel):
    """The message that a button stands under: of one that only one person sees, the payload has only the container."""

    model_config = FROZEN
    ts: Annotated[Ts, Field(validation_alias=AliasChoices("ts", "message_ts"))]
    thread_ts: Text = ""
    is_ephemeral: bool = False

    @property
    def thread(self) -> str:
        """The thread that it is in or begins; empty for an ephemeral message outside of threads, which begins none."""
        return self.thread_ts or ("" if self.is_ephemeral else self.ts)


class Action(BaseModel):
    """A press of one button."""

    model_config = FROZEN
    action_id: Text = ""
    action_ts: Ts
    value: Text = ""


class BlockActions(BaseModel):
    """A press of a button; Slack sends one action in a payload."""

    model_config = FROZEN
    user: User
    team: HasId | None = None
    channel: HasId
    message: Annotated[ButtonMessage, Field(validation_alias=AliasChoices("message", "container"))]
    actions: Annotated[tuple[Action, ...], Field(min_length=1)]


class SlashCommand(BaseModel):
    """A slash command, the one payload without a `type`."""

    model_config = FROZEN
    command: str
    text: Text = ""
    user_id: Id
    team_id: Text = ""
    channel_id: Id
    trigger_id: Id
    response_url: Id


class UrlVerification(BaseModel):
    """Slack's question when an operator enters the bot's URL. The answer is the challenge."""

    model_config = FROZEN
    challenge: Text = ""


class ThreadMessage(Content):
    """A message of a thread, as the Web API returns it. `tag` marks the bot's own messages."""

    ts: Ts
    tag: Annotated[str, BeforeValidator(_own_tag)] = Field(default="", alias="metadata")


def _kind(raw: object) -> str | None:
    kind = raw.get("type", "slash_command") if isinstance(raw, dict) else None
    return kind if isinstance(kind, str) else None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A payload of a kind that Parley reads, in another shape than Slack documents."""


Payload: TypeAlias = EventCallback | BlockActions | SlashCommand | UrlVerification | Unreadable
_PAYLOAD: TypeAdapter[Payload] = TypeAdapter(
    Annotated[
        Annotated[EventCallback, Tag("event_callback")]
        | Annotated[BlockActions, Tag("block_actions")]
        | Annotated[SlashCommand, Tag("slash_command")]
        | Annotated[UrlVerification, Tag("url_verification")],
        Discriminator(_kind),
    ]
)


_THREAD: TypeAdapter[tuple[ThreadMessage, ...]] = TypeAdapter(
    Annotated[tuple[ThreadMessage, ...], _list_of(ThreadMessage)]
)


def decode(body: bytes) -> Mapping[str, object] | None:
    """The fields of an HTTP body: JSON, or a form, which may hold JSON as `payload`. None if it is neither."""
    try:
        text = body.decode()
        if not text.startswith("{"):
            form = dict(parse_qsl(text, keep_blank_values=True))
            if "payload" not in form:
                return dict(form)
            text = form["payload"]
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def parse(fields: Mapping[str, object]) -> Payload | None:
    """The payload with these fields; None if it is of a kind that Parley does not read."""
    try:
        return _PAYLOAD.validate_python(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return None if any(problem["type"] == OTHER_KIND for problem in problems) else Unreadable()
    except RecursionError:
        return Unreadable()


def parse_thread(messages: object) -> tuple[ThreadMessage, ...]:
    """The messages of a thread, without those of another shape."""
    return _THREAD.validate_python(messages)
