"""The first page: what happened today and in the last days."""

from fastapi import APIRouter
from fastapi.responses import Response

from bots.admin.office import Here, Operator

router = APIRouter()


@router.get("/")
async def overview(visit: Operator, here: Here) -> Response:  # noqa: ARG001  the figures come next
    return visit.page("overview.html")
