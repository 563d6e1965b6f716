"""The log of what operators do to people, without a word or an id of theirs."""

import hmac

import structlog

from bots.admin.office import Office, Visit
from core.messages import ConversationKey, Person

log = structlog.get_logger()
PURPOSE = "admin.log"
BYTES = 8
"""Of a hash in the log: enough to tell people of one bot apart."""


async def note(here: Office, visit: Visit, deed: str, about: Person | ConversationKey | int) -> None:
    """Log that an operator has done something to a person, to a conversation, or to a turn. The first two are named by
    a hash with a key of this installation.
    """
    assert visit.session is not None
    who = visit.session.key or "password"
    if isinstance(about, int):
        log.info("operator", did=deed, by=who, turn=about)
    else:
        digest = hmac.digest(await here.bot.admission.secret(PURPOSE), str(about).encode(), "sha256")
        log.info("operator", did=deed, by=who, about=digest[:BYTES].hex())
