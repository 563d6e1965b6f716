"""Telegram's updates, parsed as far as Parley reads them. Other fields are ignored."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

MAX_ID = 2**63
Int64: TypeAlias = Annotated[int, Field(ge=-MAX_ID, lt=MAX_ID)]
Units: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]


class User(BaseModel):
    id: Int64
    is_bot: bool = False
    first_name: str = ""
    language_code: str | None = None


class Chat(BaseModel):
    id: Int64
    type: str
    title: str = ""


class Entity(BaseModel):
    """A marked part of a text; `offset` and `length` are in UTF-16 units."""

    type: str
    offset: Units
    length: Units
    user: User | None = None
    url: str | None = None


class Origin(BaseModel):
    """Who wrote a message that was forwarded, or one in another chat; no field is given if the author hides it."""

    sender_user: User | None = None
    sender_chat: Chat | None = None
    chat: Chat | None = None


class Option(BaseModel):
    text: str = ""


class Poll(BaseModel):
    question: str = ""
    options: tuple[Option, ...] = ()


class Checklist(BaseModel):
    title: str = ""
    tasks: tuple[Option, ...] = ()


class Venue(BaseModel):
    title: str = ""
    address: str = ""


class Content(BaseModel):
    """What a message shows. Fields without a name here, such as pictures and service messages, are in `model_extra`."""

    model_config = ConfigDict(extra="allow")
    forward_origin: Origin | None = None
    text: str | None = None
    entities: tuple[Entity, ...] = ()
    caption: str | None = None
    caption_entities: tuple[Entity, ...] = ()
    poll: Poll | None = None
    checklist: Checklist | None = None
    venue: Venue | None = None


class RepliedTo(Content):
    """The message that another message replies to."""

    sender: User | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    forum_topic_created: object | None = None


class ExternalReply(Content):
    """The message of another chat or topic that a message replies to. Its text is not given."""

    origin: Origin


class Quote(BaseModel):
    """The part of that message that the person selected."""

    text: str


class Post(Content):
    """A Telegram message. `sender_chat` is the chat in whose name it is written; `sender` is a fake bot then."""

    message_id: Int64
    chat: Chat
    date: Annotated[int, Field(ge=0, lt=2**40)]
    sender: User | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    is_automatic_forward: bool = False
    message_thread_id: Int64 | None = None
    is_topic_message: bool = False
    reply_to_message: RepliedTo | None = None
    external_reply: ExternalReply | None = None
    quote: Quote | None = None
    media_group_id: str | None = None
    migrate_to_chat_id: Int64 | None = None
    migrate_from_chat_id: Int64 | None = None


class CallbackQuery(BaseModel):
    """A press of a button under `message`."""

    id: str
    sender: User = Field(alias="from")
    message: Post | None = None
    data: str = ""


class Update(BaseModel):
    """One event. Edited messages and other kinds of updates are not read."""

    update_id: Int64
    message: Post | None = None
    callback_query: CallbackQuery | None = None


def update_id(raw: object) -> int:
    """The number of an update that may be malformed otherwise; 0 if it has none."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) and abs(found) < MAX_ID else 0
