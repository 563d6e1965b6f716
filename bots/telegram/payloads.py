"""Telegram's updates, parsed as far as Parley reads them. Other fields are ignored."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Int64: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Units: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]


class User(BaseModel):
    id: Int64
    is_bot: bool = False
    first_name: str = ""
    language_code: str | None = None


class Chat(BaseModel):
    id: Int64
    type: str


class Entity(BaseModel):
    """A marked part of a text; `offset` and `length` are in UTF-16 units."""

    type: str
    offset: Units
    length: Units
    user: User | None = None


class RepliedTo(BaseModel):
    """The message that another message replies to."""

    sender: User | None = Field(default=None, alias="from")
    forum_topic_created: object | None = None
    text: str | None = None
    caption: str | None = None


class Quote(BaseModel):
    """The part of that message that the person selected."""

    text: str


class Post(BaseModel):
    """A Telegram message. Fields without a name here, such as media and service messages, are in `model_extra`."""

    model_config = ConfigDict(extra="allow")
    message_id: Int64
    chat: Chat
    date: Annotated[int, Field(ge=0, lt=2**40)]
    sender: User | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    via_bot: User | None = None
    is_automatic_forward: bool = False
    message_thread_id: Int64 | None = None
    is_topic_message: bool = False
    reply_to_message: RepliedTo | None = None
    quote: Quote | None = None
    media_group_id: str | None = None
    text: str | None = None
    entities: tuple[Entity, ...] = ()
    caption: str | None = None
    caption_entities: tuple[Entity, ...] = ()
    migrate_to_chat_id: Int64 | None = None
    migrate_from_chat_id: Int64 | None = None


class ButtonPress(BaseModel):
    """A `callback_query`: a press of a button under `message`."""

    id: str
    sender: User = Field(alias="from")
    message: Post | None = None
    data: str = ""


class Update(BaseModel):
    """One event. Edited messages and other kinds of updates are not read."""

    update_id: Int64
    message: Post | None = None
    callback_query: ButtonPress | None = None


def update_id(raw: object) -> int:
    """The number of an update that may be malformed otherwise; 0 if it has none."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) else 0
