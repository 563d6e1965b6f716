"""The vocabulary of Parley: what comes in, what the stages know, what goes out. Read this first."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self, TypeAlias
from urllib.parse import quote, unquote

Locale: TypeAlias = Literal["en", "zh"]
Sink: TypeAlias = Callable[[str], Awaitable[None]]
"""Takes one piece of a reply as it is made. Pieces are a preview; the whole `Reply` is the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationKey:
    """Where words are exchanged: the scope of a history.

    `workspace` is the bot account, Slack workspace or terminal the chat belongs to, `thread` the topic or thread
    within it, empty where there is none.
    """

    platform: str
    workspace: str
    chat: str
    thread: str = ""

    def __str__(self) -> str:
        return _path(self.platform, self.workspace, self.chat, self.thread)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that `str` made `text` of."""
        platform, workspace, chat, thread = map(unquote, text.split("/"))
        return cls(platform=platform, workspace=workspace, chat=chat, thread=thread)

    @property
    def front(self) -> str:
        """The front end that serves this conversation, as a string: one platform seen by one bot account."""
        return _path(self.platform, self.workspace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who writes: the unit of rate limits, history scope and deletion. `locale` is the platform's hint, if any."""

    platform: str
    workspace: str
    id: str
    display_name: str = ""
    locale: Locale | None = None

    def __str__(self) -> str:
        return _path(self.platform, self.workspace, self.id)

    @property
    def name(self) -> str:
        """How an operator writes this person in a list: "telegram:123"."""
        return f"{self.platform}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The person, by identity alone, that `str` made `text` of."""
        platform, workspace, id_ = map(unquote, text.split("/"))
        return cls(platform=platform, workspace=workspace, id=id_)


class Kind(StrEnum):
    """How a message reached the bot."""

    PRIVATE = "private"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came in. `event_keys` are all the identities the platform gives this one gesture; `sent_at` is UTC epoch
    seconds; `reference` is what the platform calls this message, so that the answer can point at it; `context` is what
    it points at itself: lines that were said before, by whomever. They are read once and are not the sender's words.
    """

    event_keys: tuple[str, ...]
    conversation: ConversationKey
    sender: Person
    text: str
    sent_at: float
    kind: Kind = Kind.PRIVATE
    reference: str = ""
    context: str = ""


class Label(StrEnum):
    """The three moods, in the order in which ties are shown."""

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
    """A question and its answer, as history keeps them; `tokens` is what both cost in a prompt."""

    question: str
    answer: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message on its way to a reply: what the stages know. A stage passes `replace(turn, ...)` inward.

    `stopped` is set when the person stops the reply. `anew` asks for another answer to the last question. `locale` is
    the language of the bot's own words; `chosen_language` was set with /lang and is None if the person chose none.
    """

    id: int
    message: Message
    sink: Sink
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    anew: bool = False
    locale: Locale = "en"
    chosen_language: Locale | None = None
    history: tuple[Exchange, ...] = ()
    mood: Mood | None = None


class Source(StrEnum):
    """What wrote a reply."""

    MODEL = "model"
    CACHE = "cache"
    FAQ = "faq"
    COMMAND = "command"
    REFUSAL = "refusal"


class Finish(StrEnum):
    """Why a reply ended: by itself, at its length limit, at a deadline, because the person had enough, or because an
    error took its place.
    """

    STOP = "stop"
    STOPPED = "stopped"
    LENGTH = "length"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens read and written by the model for one reply; `cached_tokens` of the prompt were not computed again."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out.

    `tokens` is what question and answer cost together when they are read again as history; a reply without it is not
    remembered. `error` names the kind of error a refusal or apology stands for, in snake case.
    """

    text: str
    source: Source
    finish: Finish = Finish.STOP
    usage: Usage = NO_USAGE
    tokens: int = 0
    mood: Mood | None = None
    show_mood: bool = True
    error: str = ""


def _path(*parts: str) -> str:
    """Parts joined by slashes, each quoted, so that different parts never give the same path."""
    return "/".join(quote(part, safe="") for part in parts)
