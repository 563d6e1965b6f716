"""What the operator's page looks into, and the request of an operator who has signed in."""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from bots.admin.rendering import HEADERS, render
from bots.admin.tries import Tries
from bots.app import Bot
from bots.fronts import FrontEnd
from bots.web.locales import LANGUAGE, locale_of
from config.settings import Settings
from core.clock import Clock
from core.errors import StoreError
from core.latest_days import LatestDays
from core.messages import Locale
from core.operators import Session, find_session, is_open, note_use

PATH = "/admin"
COOKIE = "parley-operator"
FORM_TOKEN = "form_token"  # noqa: S105  the name of a field
SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
LANGUAGE_SECONDS = 400 * 86_400
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""The number of a row of the store, or 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A running bot with its settings, its figures, and the limit of tries to sign in."""

    bot: Bot
    fronts: Sequence[FrontEnd]
    settings: Settings
    clock: Clock
    tries: Tries
    latest_days: LatestDays


def open_office(bot: Bot, fronts: Sequence[FrontEnd], settings: Settings, clock: Clock) -> Office:
    """The office of a bot, which nobody has tried to enter yet."""
    latest_days = LatestDays(bot.store, clock)
    return Office(bot=bot, fronts=fronts, settings=settings, clock=clock, tries=Tries(clock), latest_days=latest_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request to the operator's page. `session` is None until the operator has signed in."""

    request: Request = field(repr=False)
    locale: Locale
    session: Session | None

    def page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """A page, or a part of one, in the operator's language."""
        form_token = self.session.form_token if self.session else ""
        here = self.request.url.path.removeprefix(PATH).strip("/")
        text = render(template, self.locale, form_token=form_token, here=here, **values)
        response = HTMLResponse(text, status, headers=HEADERS)
        if "lang" in self.request.query_params:
            keep = partial(response.set_cookie, LANGUAGE, self.locale, max_age=LANGUAGE_SECONDS, path=PATH)
            keep(secure=self.is_secure, httponly=True, samesite="lax")
        return response

    @property
    def is_secure(self) -> bool:
        """Whether the browser speaks TLS, with this server or with the proxy before it."""
        return self.request.url.scheme == "https"


def stranger(request: Request) -> Visit:
    """The visit of somebody who has not signed in, or of whom that does not matter."""
    return Visit(request=request, locale=locale_of(request), session=None)


def _office(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


Here = Annotated[Office, Depends(_office)]


async def opened(here: Here) -> None:
    """Raises HTTPException, 404, if operators cannot sign in since there is no password and no key of theirs."""
    if not await here.bot.store.read(is_open):
        raise HTTPException(404)


async def operator(request: Request, here: Here) -> Visit:
    """The visit of an operator. Raises HTTPException: 401 if they have not signed in, 403 if a form does not come from
    a page of their session.
    """
    session = await _session(here, request.cookies.get(COOKIE, ""))
    if session is None:
        raise HTTPException(401)
    if request.method not in SAFE and not _is_of_session(str((await request.form()).get(FORM_TOKEN, "")), session):
        raise HTTPException(403)
    return Visit(request=request, locale=locale_of(request), session=session)


async def _session(here: Office, token: str) -> Session | None:
    """The session with a token. Its use is noted now and then. While that fails, it lasts as long as noted before."""
    store, now = here.bot.store, here.clock.now()
    session = await store.read(find_session, token, now) if token else None
    if session and not session.is_noted:
        with suppress(StoreError):
            await store.run(note_use, token, now)
    return session


def _is_of_session(form_token: str, session: Session) -> bool:
    return hmac.compare_digest(form_token.encode("utf-8", "surrogatepass"), session.form_token.encode())


Operator = Annotated[Visit, Depends(operator)]


def back_to(page: str) -> Response:
    """Lead the browser to a page after a form, so that a reload does not send the form again."""
    return RedirectResponse(f"{PATH}/{page}", 303, headers=HEADERS)
