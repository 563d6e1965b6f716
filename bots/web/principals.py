"""Who makes a request: a browser with its cookie, or a program with a key."""

import asyncio

from bots.web.visitors import Visitor, Visitors, person_named
from core.admission import Admission
from core.clock import Clock
from core.keys import Scope
from core.messages import Locale, Person


class Principals:
    """Knows browsers by their cookie if there `has_page`, and programs by their key if there is an `has_api`.

    A key comes first. It names a program, whose people are apart from those of other programs and of the page.
    """

    def __init__(self, admission: Admission, clock: Clock, *, has_page: bool, has_api: bool) -> None:
        self._admission = admission
        self._clock = clock
        self._has_page = has_page
        self._has_api = has_api
        self._visitors: Visitors | None = None
        self._opening = asyncio.Lock()

    async def identify(self, key: str, user: str, cookie: str, locale: Locale | None) -> Person | None:
        """The person of a request; None if it has neither key nor cookie. `user` is the program's name for them."""
        if key:
            return await self._of_program(key, user, locale)
        visitor = await self.visitor(cookie) if self._has_page else None
        return person_named(visitor.name, locale) if visitor else None

    async def visitor(self, cookie: str) -> Visitor | None:
        """The browser with this cookie."""
        return (await self._opened()).known(cookie)

    async def welcome(self, address: str) -> Visitor | None:
        """A new browser; None if too many have come from its address."""
        return (await self._opened()).welcome(address)

    async def _of_program(self, presented: str, user: str, locale: Locale | None) -> Person | None:
        key = await self._admission.key(presented) if self._has_api else None
        if key is None or Scope.CHAT not in key.scopes:
            return None
        return person_named(f"k-{key.name}:{user}", locale, key.name)

    async def _opened(self) -> Visitors:
        """The secret of the cookies is in the store, so that it is the same after a restart."""
        async with self._opening:
            if self._visitors is None:
                self._visitors = Visitors(await self._admission.secret("web.visitors"), self._clock)
            return self._visitors
