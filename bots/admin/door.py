"""Signing in and out."""

import asyncio
import secrets
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from bots.admin.office import COOKIE, PATH, Here, Office, Operator, Visit, back_to, stranger
from bots.admin.tries import WINDOW
from core.keys import PREFIX
from core.operators import (
    MAX_BYTES,
    SESSION_SECONDS,
    end_session,
    find_operator_key,
    fits,
    open_session,
)
from core.store import installation
from core.tokens import ENTROPY_BYTES

log = structlog.get_logger()
entrance = APIRouter()
"""The route for those who have not signed in."""
exit_ = APIRouter()


class Proof(BaseModel):
    """What an operator signs in with: the password, or a key."""

    password: str = Field(max_length=MAX_BYTES)


@entrance.post("/sign-in")
async def sign_in(request: Request, here: Here, proof: Annotated[Proof, Form()]) -> Response:
    """Open a session, or show the form again with what was wrong."""
    address = request.client.host if request.client else ""
    visit = stranger(request)
    if not here.tries.begin(address):
        log.warning("too many tries to sign in")
        response = visit.page("sign_in.html", 429, fault="too_many_tries")
        response.headers["Retry-After"] = str(int(WINDOW))
        return response
    token = None
    try:
        token = await _session(here, proof.password)
    finally:
        here.tries.end(address, has_succeeded=token is not None)
    if token is None:
        log.warning("a try to sign in failed")
        return visit.page("sign_in.html", 401, fault="wrong_password")
    return _entered(visit, token)


@exit_.post("/sign-out")
async def sign_out(visit: Operator, here: Here) -> Response:
    await here.bot.store.run(end_session, visit.request.cookies[COOKIE])
    response = back_to("")
    response.delete_cookie(COOKIE, path=PATH)
    return response


async def _session(here: Office, presented: str) -> str | None:
    """The token of a new session; None if what was presented is neither the password nor an operator's key."""
    store, now = here.bot.store, here.clock.now()
    key = await store.run(find_operator_key, presented, now) if presented.startswith(PREFIX) else None
    if key is None and not await _is_password(here, presented):
        return None
    log.info("an operator signed in", key=key)
    return await store.run(open_session, key, secrets.token_bytes(ENTROPY_BYTES), now)


async def _is_password(here: Office, presented: str) -> bool:
    hashed = await here.bot.store.read(installation.password)
    return hashed != "" and await asyncio.to_thread(fits, presented, hashed)


def _entered(visit: Visit, token: str) -> Response:
    response = back_to("")
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_SECONDS),
        path=PATH,
        secure=visit.is_secure,
        httponly=True,
        samesite="lax",  # a link to the page, in a chat, should lead there
    )
    return response
