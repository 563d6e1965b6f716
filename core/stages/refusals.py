"""Turns errors into replies. No other stage catches errors for the person."""

import structlog

from core.apologies import apology, fault_of, refusal
from core.bulkhead import described
from core.commands import prefix_in
from core.errors import ParleyError, Refusal, StoreLost
from core.messages import Reply, Turn
from core.pipeline import Handler

log = structlog.get_logger()


async def refusals(turn: Turn, call_next: Handler) -> Reply:
    """The stage that returns a reply whatever the inner stages raise, unless no reply could be stored: StoreLost."""
    try:
        return await call_next(turn)
    except Refusal as error:
        return refusal(error, turn.locale)
    except StoreLost:
        raise  # the turn is answered when the database's server is back
    except ParleyError as error:
        log.warning("turn failed", turn=turn.id, error=type(error).__name__, reason=str(error))
        return apology(fault_of(error), turn.locale, prefix_in(turn.message.conversation))
    except Exception as error:  # noqa: BLE001  whatever it is, the person gets an answer
        log.warning("turn failed unexpectedly", turn=turn.id, fault=described(error))
        return apology(fault_of(error), turn.locale, prefix_in(turn.message.conversation))
