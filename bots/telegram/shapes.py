"""What Parley reads of Telegram's updates. Everything else in them may be as it likes."""

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


class Replied(BaseModel):
    """The message that another one replies to."""

    sender: User | None = Field(default=None, alias="from")
    forum_topic_created: object | None = None
    text: str | None = None
    caption: str | None = None


class Quote(BaseModel):
    """The part of it that was marked."""

    text: str


class Post(BaseModel):
    """A message as Telegram has it. What is not named here is in `model_extra`: kinds of media, service messages."""

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
    reply_to_message: Replied | None = None
    quote: Quote | None = None
    media_group_id: str | None = None
    text: str | None = None
    entities: tuple[Entity, ...] = ()
    caption: str | None = None
    caption_entities: tuple[Entity, ...] = ()
    migrate_to_chat_id: Int64 | None = None
    migrate_from_chat_id: Int64 | None = None


class Query(BaseModel):
    """A button pressed under `message`."""

    id: str
    sender: User = Field(alias="from")
    message: Post | None = None
    data: str = ""


class Update(BaseModel):
    """One thing that happened. Edits and whatever else there is are not for us."""

    update_id: Int64
    message: Post | None = None
    callback_query: Query | None = None


def update_id(raw: object) -> int:
    """The number of an update, whatever else is wrong with it."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) else 0
