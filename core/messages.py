"""The vocabulary of Parley: what comes in, what the stages know, and what goes out. Read this first."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self, TypeAlias
from urllib.parse import quote, unquote

Locale: TypeAlias = Literal["en", "zh"]
Sink: TypeAlias = Callable[[str], Awaitable[None]]
"""Receives one piece of a reply while it is generated. Pieces are a preview; the whole `Reply` is the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationKey:
    """The place of a conversation, and the scope of its history.

    `workspace` is the bot account, Slack workspace or terminal user that the chat belongs to. `thread` is the topic or
    thread within the chat, or empty.
    """

    platform: str
    workspace: str
    chat: str
    thread: str = ""

    def __str__(self) -> str:
        return _path(self.platform, self.workspace, self.chat, self.thread)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`."""
        platform, workspace, chat, thread = map(unquote, text.split("/"))
        return cls(platform=platform, workspace=workspace, chat=chat, thread=thread)

    @property
    def front(self) -> str:
        """The front end that serves this conversation: "platform/workspace"."""
        return _path(self.platform, self.workspace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A sender: the unit of rate limits, history and deletion. `locale` is the platform's hint at their language.

    An outsider is no full member of the bot's workspace: a guest, or somebody of another company. `program` is the name
    of the key by which a program writes for the person; empty if they write themselves.
    """

    platform: str
    workspace: str
    id: str
    display_name: str = ""
    locale: Locale | None = None
    is_outsider: bool = False
    program: str = ""

    def __str__(self) -> str:
        return _path(self.platform, self.workspace, self.id)

    @property
    def name(self) -> str:
        """The person as written in `access.allow`: "telegram:123"."""
        return f"{self.platform}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`, without what the platform tells besides."""
        platform, workspace, id_ = map(unquote, text.split("/"))
        return cls(platform=platform, workspace=workspace, id=id_)


class Kind(StrEnum):
    """The kind of chat that a message comes from."""

    PRIVATE = "private"
    GROUP = "group"


class Media(StrEnum):
    """What a message carries that the bot cannot read."""

    PICTURE = "picture"
    VIDEO = "video"
    ANIMATION = "animation"
    VOICE = "voice"
    AUDIO = "audio"
    STICKER = "sticker"
    FILE = "file"
    LOCATION = "location"
    CONTACT = "contact"
    POLL = "poll"
    OTHER = "other"


class Relation(StrEnum):
    """How a message relates to words that it quotes."""

    REPLIED = "replied"  # the message that it replies to
    SELECTED = "selected"  # the part of that message which the sender selected
    FORWARDED = "forwarded"
    EARLIER = "earlier"  # said in the thread before the bot was called
    ATTACHED = "attached"  # a table, a preview of a file or of a link
    KNOWN = "known"  # what the bot knows about the question, and no person quotes


class Author(StrEnum):
    """Who wrote quoted words, as far as the platform tells."""

    SENDER = "sender"  # of the message that quotes them
    BOT = "bot"  # this one
    PERSON = "person"
    APP = "app"  # also another bot
    CHANNEL = "channel"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Words in a message that are not the sender's own, and what comes with them that cannot be read."""

    relation: Relation
    author: Author = Author.UNKNOWN
    text: str = ""
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """What makes several events of a sender one message, such as an album. The names are the front end's own.

    The event joins an earlier one that has `opens` one of the names that it `joins`. If it `waits`, more are expected.
    """

    joins: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()
    waits: bool = False


NO_TIES = Ties()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One incoming message, in three parts: `text`, the sender's own words; `quotes`, oldest first; and `media`.

    Only the own words can be a command, have a mood, and count as said by the sender.

    `event_keys` are all identifiers that the platform gives the same gesture; one seen before makes it a duplicate.
    `sent_at` is in UTC epoch seconds. `reference` is the platform's id of the message, to which the answer replies.
    `again` is the turn whose question this message asks again, or 0. `edited_at` is when its sender last changed it, or
    0. `ties` connect it with other events that are the same message. `replies_to` are the platform's ids of the
    messages that it replies to, in a chat without topics.
    """

    event_keys: tuple[str, ...]
    conversation: ConversationKey
    sender: Person
    text: str
    sent_at: float
    kind: Kind = Kind.PRIVATE
    reference: str = ""
    quotes: tuple[Quote, ...] = ()
    media: tuple[Media, ...] = ()
    again: int = 0
    edited_at: float = 0.0
    ties: Ties = NO_TIES
    replies_to: tuple[str, ...] = ()

    @property
    def has_words(self) -> bool:
        """Whether there is anything to read, own or quoted."""
        return self.text != "" or any(quote.text for quote in self.quotes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change that a person made to their message: what it says now, with the event keys that it has had all along.

    The `event_keys` are those of the edit itself. `is_addressed` tells whether the message is for the bot now; None if
    it is, provided that the bot took it for that before.
    """

    event_keys: tuple[str, ...]
    message: Message
    is_addressed: bool | None = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A message that is deleted; `event_keys` are those of the message, which was sent at `sent_at`.

    `text` is what it said, as far as the platform tells.
    """

    event_keys: tuple[str, ...]
    conversation: ConversationKey
    sent_at: float
    text: str = ""


class Label(StrEnum):
    """The three moods."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The mood of one message; `confidence` is the calibrated probability of the label, 0 to 1."""

    label: Label
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question and its answer in the history; `tokens` is their size in a prompt, together."""

    question: str
    answer: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message on its way to a reply: what the stages know. A stage passes `replace(turn, ...)` inward.

    `stopped` is set when the person stops the reply. `locale` is the language of the bot's own words; `chosen_language`
    was set with /lang and is None if the person chose none.
    """

    id: int
    message: Message
    sink: Sink
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    locale: Locale = "en"
    chosen_language: Locale | None = None
    history: tuple[Exchange, ...] = ()
    mood: Mood | None = None


class Source(StrEnum):
    """What produced a reply."""

    MODEL = "model"
    CACHE = "cache"
    COMMAND = "command"
    REFUSAL = "refusal"
    KNOWLEDGE = "knowledge"  # an answer that was written beforehand
    PERSON = "person"  # words of a person, passed on to another one


class Choice(StrEnum):
    """A button of a hand-off. The first one is for the customer, the others are for operators."""

    ASK = "person"  # for a person
    TAKE = "take"  # the conversation over
    SEND = "send"  # this message only
    BACK = "back"  # to the bot
    CLOSE = "close"  # the matter is settled


ANSWERS = frozenset({Source.MODEL, Source.CACHE, Source.KNOWLEDGE})
"""Sources of replies that are Markdown, can be voted on, and answer a question."""


class Finish(StrEnum):
    """Why a reply ended: the model finished, the person stopped it, a token limit, a deadline, or an error."""

    STOP = "stop"
    STOPPED = "stopped"
    LENGTH = "length"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one reply. `cached_tokens` of the prompt came from the prefix cache."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One outgoing reply.

    `tokens` is the size of question and answer in a later prompt; a reply with 0 tokens is not added to the history.
    `show_mood` says that front ends add the mood's emoji to the text. `error` is the kind of error behind a refusal or
    an apology, in snake case, or empty. `choices` are buttons below it. `suggestions` are the questions that its text
    numbers from 1; a button or the number asks one. `cites` names what the answer rests on, in words that front ends
    add below it. They are no part of the history, where the model would learn to cite anything.
    """

    text: str
    source: Source
    finish: Finish = Finish.STOP
    usage: Usage = NO_USAGE
    tokens: int = 0
    mood: Mood | None = None
    show_mood: bool = False
    error: str = ""
    choices: tuple[Choice, ...] = ()
    suggestions: tuple[str, ...] = ()
    cites: str = ""


WITHDRAWN = Reply(text="", source=Source.REFUSAL, error="withdrawn")
"""The reply to a message that its sender has withdrawn: whatever is shown of the turn is removed."""


def _path(*parts: str) -> str:
    """The parts joined by slashes, each percent-encoded, so that different parts never give the same path."""
    return "/".join(quote(part, safe="") for part in parts)
