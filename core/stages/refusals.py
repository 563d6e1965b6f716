"""Errors become replies, here and nowhere else: a refusal says why, an apology says that it was us."""

import structlog

from core.errors import EngineError, EngineStalled, ParleyError, Refusal, StoreError, TooLong
from core.i18n import say
from core.messages import Finish, Locale, Reply, Source, Turn
from core.pipeline import Handler

log = structlog.get_logger()


async def refusals(turn: Turn, call_next: Handler) -> Reply:
    """Let nothing through but replies."""
    try:
        return await call_next(turn)
    except Refusal as error:
        return refusal(error, turn.locale)
    except ParleyError as error:
        log.warning("turn failed", turn=turn.id, error=type(error).__name__, reason=str(error))
        return apology(error, turn.locale)
    except Exception as error:
        log.exception("turn failed unexpectedly", turn=turn.id)
        return apology(error, turn.locale)


def refusal(error: Refusal, locale: Locale) -> Reply:
    """The sentence that tells a person why there is no answer, and when there would be."""
    name = _snake(type(error).__name__)
    key = f"{name}_{error.unit}" if isinstance(error, TooLong) else name
    values = {slot: getattr(error, slot) for slot in ("size", "limit", "person") if hasattr(error, slot)}
    if hasattr(error, "retry_after"):
        values["seconds"] = max(1, round(error.retry_after))
    return Reply(text=say(locale, f"refusal.{key}", **values), source=Source.REFUSAL, error=name)


def apology(error: Exception, locale: Locale) -> Reply:
    """The sentence for something that is our fault."""
    match error:
        case EngineError():
            key = _snake(type(error).__name__)
        case StoreError():
            key = "store"
        case _:
            key = "unexpected"
    finish = Finish.TIMEOUT if isinstance(error, EngineStalled) else Finish.ERROR
    return Reply(text=say(locale, f"apology.{key}"), source=Source.REFUSAL, finish=finish, error=key)


def gave_up(locale: Locale) -> Reply:
    """The apology for a turn that took its process down twice."""
    text = say(locale, "apology.died_twice")
    return Reply(text=text, source=Source.REFUSAL, finish=Finish.ERROR, error="died_twice")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
