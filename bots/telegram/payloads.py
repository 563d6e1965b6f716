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

    message_id: Int64 = 0
    sender: User | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    forum_topic_created: object | None = None


class ExternalReply(Content):
    """The message of another chat or topic that a message replies to. Its text is not given."""

    origin: Origin


class Quote(BaseModel):
    """The part of that message that the person selected."""

    text: str


class Key(BaseModel):
    """A button."""

    text: str = ""
    callback_data: str = ""


class Keyboard(BaseModel):
    """The buttons under a message of the bot."""

    inline_keyboard: tuple[tuple[Key, ...], ...] = ()


class Post(Content):
    """A Telegram message. `sender_chat` is the chat in whose name it is written; `sender` is a fake bot then."""

    message_id: Int64
    chat: Chat
    date: Annotated[int, Field(ge=0, lt=2**40)]
    edit_date: Annotated[int, Field(ge=0, lt=2**40)] = 0
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
    reply_markup: Keyboard | None = None


class CallbackQuery(BaseModel):
    """A press of a button under `message`."""

    id: str
    sender: User = Field(alias="from")
    message: Post | None = None
    data: str = ""

    @property
    def words(self) -> str:
        """The words on the button. They are Telegram's, whatever data a client sends."""
        rows = self.message.reply_markup.inline_keyboard if self.message and self.message.reply_markup else ()
        return next((key.text for row in rows for key in row if key.callback_data == self.data), "")


class Member(BaseModel):
    """How an account belongs to a chat."""

    status: str
    is_member: bool = False

    @property
    def is_in(self) -> bool:
        return self.status in {"creator", "administrator", "member"} or (self.status == "restricted" and self.is_member)


class MembershipChange(BaseModel):
    """Somebody has changed how the bot belongs to a chat."""

    chat: Chat
    sender: User = Field(alias="from")
    date: Annotated[int, Field(ge=0, lt=2**40)]
    old_chat_member: Member
    new_chat_member: Member


class Update(BaseModel):
    """One event. Other kinds of updates are not read. Telegram tells bots of no deletions in ordinary chats."""

    update_id: Int64
    message: Post | None = None
    edited_message: Post | None = None
    callback_query: CallbackQuery | None = None
    my_chat_member: MembershipChange | None = None


def update_id(raw: object) -> int:
    """The number of an update that may be malformed otherwise; 0 if it has none."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) and abs(found) < MAX_ID else 0
