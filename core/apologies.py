"""Replies that stand in for an answer: a refusal says why there is none, an apology says that the fault is ours."""

import re

from core.commands import SLASH
from core.errors import (
    AlreadyTaken,
    AnsweredAlready,
    Busy,
    EngineError,
    EngineStalled,
    EntryUnwritable,
    GapUnknown,
    Misused,
    NotAllowed,
    QueueFull,
    Refusal,
    StoreError,
    Throttled,
    TooLong,
    Unreadable,
)
from core.i18n import say
from core.messages import Finish, Locale, Reply, Source

UNEXPECTED = "unexpected"
"""The fault of our own code, and of a turn that failed again and again for a reason that nobody expected."""
DIED_TWICE = "died_twice"
"""The fault of a turn during which the process crashed twice."""


def refusal(error: Refusal, locale: Locale) -> Reply:
    """The reply that tells a person why there is no answer, and when to try again."""
    words = say(locale, f"refusal.{_key(error)}", **_values(error, locale))
    return Reply(text=words, source=Source.REFUSAL, error=_kind(type(error)))


def apology(fault: str, locale: Locale, prefix: str = SLASH) -> Reply:
    """The reply for a fault, which names its sentence. Commands in it are typed with the prefix."""
    finish = Finish.TIMEOUT if fault == _kind(EngineStalled) else Finish.ERROR
    return Reply(text=say(locale, f"apology.{fault}", prefix=prefix), source=Source.REFUSAL, finish=finish, error=fault)


def fault_of(error: Exception) -> str:
    """The fault that an error of the engine, the store or our own code is."""
    match error:
        case EngineError():
            return _kind(type(error))
        case StoreError():
            return "store"
        case _:
            return UNEXPECTED


def _key(error: Refusal) -> str:
    """The key of the words for a refusal."""
    match error:
        case NotAllowed(is_asked=True):
            return "asked_for"
        case TooLong(unit=unit):
            return f"{_kind(TooLong)}_{unit}"
        case _:
            return _kind(type(error))


def _values(error: Refusal, locale: Locale) -> dict[str, object]:
    """The values in the words for a refusal."""
    match error:
        case NotAllowed(person=person):
            return {"person": person}
        case Unreadable(media=media):
            return {"reasons": " ".join(say(locale, f"unreadable.{part}") for part in media)}
        case TooLong(size=size, limit=limit):
            return {"size": size, "limit": limit}
        case QueueFull() | AlreadyTaken() | Misused() | GapUnknown() | AnsweredAlready() | EntryUnwritable():
            return vars(error)
        case Throttled(retry_after=wait) | Busy(retry_after=wait):
            return {"seconds": max(1, round(wait))}
        case _:
            return {}


def _kind(error: type[Exception]) -> str:
    """The name of a class of errors in snake case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error.__name__).lower()
