"""The turns under way, as they are now."""

from fastapi import APIRouter
from fastapi.responses import Response

from bots.admin.office import Here, Office, Operator, Visit
from core.store import backlog

router = APIRouter()


@router.get("/queue")
async def queue(visit: Operator, here: Here) -> Response:
    return await _shown(visit, here, "queue.html")


@router.get("/queue/now")
async def queue_now(visit: Operator, here: Here) -> Response:
    """The part of the page that changes."""
    return await _shown(visit, here, "queue_now.html")


async def _shown(visit: Visit, here: Office, template: str) -> Response:
    counts, turns = await here.bot.store.read(lambda open_: (backlog.queue(open_), backlog.under_way(open_)))
    return visit.page(template, queue=counts, turns=turns, now=here.clock.now())
