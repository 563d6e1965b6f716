"""Turns that were given up on: try them again, or drop them."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response
from pydantic import BaseModel

from bots.admin.logbook import note
from bots.admin.office import Here, Number, Operator, back_to
from core.store import dead_letters as stored
from core.store.dead_letters import PAGE

router = APIRouter()


class Letter(BaseModel):
    """A dead letter by the number of its turn; 0 for all."""

    number: Number


@router.get("/dead-letters")
async def dead_letters(visit: Operator, here: Here, after: Number = 0) -> Response:
    with_words = here.settings.admin.read_conversations
    letters = await here.bot.store.read(stored.letters, after, with_words=with_words)
    following = letters[-1].id if len(letters) == PAGE else 0
    return visit.page("dead_letters.html", letters=letters, following=following, now=here.clock.now())


@router.post("/dead-letters/retry")
async def retry(visit: Operator, here: Here, letter: Annotated[Letter, Form()]) -> Response:
    """Have one tried again, or all. The worker finds them within a second."""
    await here.bot.store.run(stored.retry, letter.number or None)
    await note(here, visit, "retried", letter.number)
    return back_to("dead-letters")


@router.post("/dead-letters/drop")
async def drop(visit: Operator, here: Here, letter: Annotated[Letter, Form()]) -> Response:
    """Close one for good. One that is closed already stays so."""
    if await here.bot.store.run(stored.drop, letter.number, here.clock.now()):
        await note(here, visit, "dropped", letter.number)
    return back_to("dead-letters")
