"""The operator's page: /admin, and the pages below it. Nobody sees one who has not signed in.

A page is a file here with a router, which `ROOMS` names, a template, its words in the section "admin" of
`core/locales/`, and its path in `rendering.PAGES`. Its routes take the visit of an operator. They are guarded together:
a route of a room cannot be reached without a session, nor a form be sent without the token of one.
"""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from bots.admin import conversations, dead_letters, door, gaps, health, options, overview, people, queue, search
from bots.admin.office import PATH, Office, opened, operator, stranger
from core.errors import StoreError

ROOMS = (
    door.exit_,
    overview.router,
    queue.router,
    gaps.router,
    search.router,
    conversations.router,
    people.router,
    dead_letters.router,
    health.router,
    options.router,
)
"""The pages, each in a file of its own."""
FAULTS = frozenset({403, 404, 405, 422, 503})
"""Statuses that have words of their own."""


def admin_site(office: Office, rooms: Sequence[APIRouter] = ROOMS) -> Mount:
    """Everything below /admin. Its files of style are the chat page's and its own."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(opened)])
    app.state.office = office
    app.mount("/static", StaticFiles(packages=[("bots.web", "static"), ("bots.admin", "static")]))
    app.include_router(door.entrance)
    for room in rooms:
        app.include_router(room, dependencies=[Depends(operator)])
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(StoreError, _unstored)
    return Mount(PATH, app)


async def _refused(request: Request, error: Exception) -> Response:
    """A page that says what is wrong; that to sign in, if this is missing."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return stranger(request).page("sign_in.html", 401, fault="")
    return _fault(request, error.status_code)


async def _malformed(request: Request, _error: Exception) -> Response:
    return _fault(request, 422)


async def _unstored(request: Request, _error: Exception) -> Response:
    return _fault(request, 503)


def _fault(request: Request, status: int) -> Response:
    return stranger(request).page("fault.html", status, fault=f"fault_{status if status in FAULTS else 404}", words="")
