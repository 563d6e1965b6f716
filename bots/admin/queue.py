"""The turns under way, as they are now."""

from fastapi import APIRouter
from fastapi.responses import Response

from bots.admin.office import Here, Office, Operator
from core.store import backlog
from core.store.backlog import Queue

router = APIRouter()


@router.get("/queue")
async def queue(visit: Operator, here: Here) -> Response:
    return visit.page("queue.html", queue=await _now(here), now=here.clock.now())


@router.get("/queue/now")
async def queue_now(visit: Operator, here: Here) -> Response:
    """The part of the page that changes."""
    return visit.page("queue_now.html", queue=await _now(here), now=here.clock.now())


async def _now(here: Office) -> Queue:
    return await here.bot.store.read(backlog.queue)
