"""Replies that stand in for an answer: a refusal says why there is none, an apology says that the fault is ours."""

import re

from core.commands import SLASH
from core.errors import EngineError, EngineStalled, NotAllowed, Refusal, StoreError, TooLong, Unreadable
from core.i18n import say
from core.messages import Finish, Locale, Reply, Source


def refusal(error: Refusal, locale: Locale) -> Reply:
    """The reply that tells a person why there is no answer, and when to try again."""
    name = _snake(type(error).__name__)
    key = name
    if isinstance(error, TooLong):
        key = f"{name}_{error.unit}"
    elif isinstance(error, NotAllowed) and error.is_asked:
        key = "asked_for"
    values = {slot: getattr(error, slot) for slot in ("size", "limit", "person") if hasattr(error, slot)}
    if isinstance(error, Unreadable):
        values["reasons"] = " ".join(say(locale, f"unreadable.{kind}") for kind in error.media)
    if hasattr(error, "retry_after"):
        values["seconds"] = max(1, round(error.retry_after))
    return Reply(text=say(locale, f"refusal.{key}", **values), source=Source.REFUSAL, error=name)


def apology(error: Exception, locale: Locale, prefix: str = SLASH) -> Reply:
    """The reply for a failure of the engine, the store or our own code. Commands in it are typed with the prefix."""
    match error:
        case EngineError():
            key = _snake(type(error).__name__)
        case StoreError():
            key = "store"
        case _:
            key = "unexpected"
    return _apology(key, locale, Finish.TIMEOUT if isinstance(error, EngineStalled) else Finish.ERROR, prefix)


def gave_up(locale: Locale) -> Reply:
    """The reply to a turn during which the process crashed twice."""
    return _apology("died_twice", locale, Finish.ERROR)


def went_wrong(locale: Locale, prefix: str) -> Reply:
    """The reply to a turn whose answering or delivery failed again and again for a reason that nobody expected."""
    return _apology("unexpected", locale, Finish.ERROR, prefix)


def _apology(key: str, locale: Locale, finish: Finish, prefix: str = SLASH) -> Reply:
    return Reply(text=say(locale, f"apology.{key}", prefix=prefix), source=Source.REFUSAL, finish=finish, error=key)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
