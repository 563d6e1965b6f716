"""What people wrote and were answered, for operators who may read it."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from bots.admin.logbook import note
from bots.admin.office import Here, Number, Operator
from core.store import conversations as stored
from core.store.conversations import PAGE

router = APIRouter()


@router.get("/conversations")
async def conversations(visit: Operator, here: Here, before: Number = 0) -> Response:
    """The conversations whose last turn is `before` one, latest first."""
    can_read = here.settings.admin.read_conversations
    found = await here.bot.store.read(stored.page, before) if can_read else ()
    following = found[-1].last_turn if len(found) == PAGE else 0
    return visit.page("conversations.html", can_read=can_read, found=found, following=following, now=here.clock.now())


@router.get("/conversations/{turn}")
async def conversation(visit: Operator, here: Here, turn: Number, before: Number = 0) -> Response:
    """A part of the conversation that a turn belongs to. Addresses name turns, since they are kept in many places."""
    key = await here.bot.store.read(stored.of_turn, turn) if here.settings.admin.read_conversations else None
    if key is None:
        raise HTTPException(404)
    extract = await here.bot.store.read(stored.said, key, before)
    await note(here, visit, "read", key)
    return visit.page("conversation.html", key=key, turn=turn, extract=extract)
