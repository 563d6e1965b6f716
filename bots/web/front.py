"""The web as a front end: a chat page for people, and an HTTP interface for programs."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from bots.fronts import DEFAULT_WELCOME, Health, Welcome
from bots.web.api import PATH, api
from bots.web.conversations import Conversations
from bots.web.documentation import documentation
from bots.web.live import Live
from bots.web.page import STATIC, page_routes
from bots.web.principals import Principals
from bots.web.visitors import FRONT, PLATFORM
from config.settings import WebSettings
from core.admission import Admission
from core.clock import Clock
from core.delivery import Delivery
from core.store.notices import Notice, Topic

CONNECTED = Health(connected=True, heard_at=None)


class Web:
    """A `FrontEnd`, made by `open_web`."""

    platform = PLATFORM

    def __init__(self, settings: WebSettings, clock: Clock, welcome: Welcome) -> None:
        self._settings = settings
        self._clock = clock
        self._welcome = welcome
        self._live = Live()

    @property
    def deliveries(self) -> Mapping[str, Delivery]:
        return {FRONT: self._live}

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        settings, clock = self._settings, self._clock
        principals = Principals(admission, clock, has_page=settings.chat, has_api=settings.api)
        interface = api(Conversations(admission, self._live, clock), principals, clock, settings.cors)
        routes: list[BaseRoute] = [
            documentation(interface),
            Mount(PATH, interface),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return [*routes, *page_routes(principals, self._welcome, settings.origins)] if settings.chat else routes

    async def run(self, admission: Admission) -> None:
        """Nothing is fetched; other gateways tell what they show. When the bot stops, nobody need look on any more."""

        async def look(notice: Notice) -> None:
            await self._live.look(notice, admission.turn)

        try:
            with admission.board.looking(Topic.SHOWN, look):
                await asyncio.get_running_loop().create_future()
        finally:
            self._live.close()

    def health(self) -> Health:
        return CONNECTED

    async def who(self) -> str:
        return f"http://{self._settings.host}:{self._settings.port}/"


@asynccontextmanager
async def open_web(settings: WebSettings, clock: Clock, *, welcome: Welcome = DEFAULT_WELCOME) -> AsyncIterator[Web]:
    yield Web(settings, clock, welcome)
