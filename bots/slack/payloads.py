"""What Slack sends, as far as we read it. Fields that are absent, null or of no use to us are empty."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

PAYLOAD = ConfigDict(frozen=True, extra="ignore")
Ts = Annotated[str, Field(pattern=r"^\d{1,12}\.\d{1,9}$")]
"""A message's name within its channel: the seconds at which it was sent, made unique."""


def _or_empty(value: object) -> object:
    return "" if value is None else value


Text: TypeAlias = Annotated[str, BeforeValidator(_or_empty)]


class Written(BaseModel):
    """A `message` or `app_mention` event."""

    model_config = PAYLOAD
    type: str
    channel: Annotated[str, Field(min_length=1)]
    ts: Ts
    user: Text = ""
    text: Text = ""
    thread_ts: Text = ""
    channel_type: Text = ""
    subtype: Text = ""
    bot_id: Text = ""
    client_msg_id: Text = ""
    hidden: bool = False


class Home(BaseModel):
    """An `app_home_opened` event."""

    model_config = PAYLOAD
    channel: Annotated[str, Field(min_length=1)]
    tab: Text = ""


class Named(BaseModel):
    """A user or a channel."""

    model_config = PAYLOAD
    id: Annotated[str, Field(min_length=1)]


class Holder(BaseModel):
    """The message that a button is on."""

    model_config = PAYLOAD
    ts: Ts
    thread_ts: Text = ""


class Pressed(BaseModel):
    """One of the `actions`."""

    model_config = PAYLOAD
    action_id: Text = ""
    action_ts: Ts
    value: Text = ""


class Press(BaseModel):
    """A `block_actions` payload."""

    model_config = PAYLOAD
    user: Named
    channel: Named
    message: Holder
    actions: Annotated[tuple[Pressed, ...], Field(min_length=1)]


class Slash(BaseModel):
    """A slash command."""

    model_config = PAYLOAD
    command: str
    text: Text = ""
    user_id: Annotated[str, Field(min_length=1)]
    channel_id: Annotated[str, Field(min_length=1)]
    trigger_id: Annotated[str, Field(min_length=1)]
    response_url: Annotated[str, Field(min_length=1)]
