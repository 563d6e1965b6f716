"""People of the web page: each browser is one, known by a signed cookie."""

import hashlib
import secrets
from dataclasses import dataclass

from cachetools import TTLCache
from itsdangerous import BadSignature, Signer

from core.clock import Clock
from core.messages import ConversationKey, Locale, Person
from core.serving.limits import client_at

PLATFORM, SITE = "web", "site"
COOKIE = "parley"
COOKIE_SECONDS = 400 * 86_400
"""As long as browsers keep a cookie (RFC 6265bis)."""
NEW_PER_ADDRESS = 30
"""Browsers of one address that may become people within `WINDOW`: each has a rate limit of its own."""
WINDOW = 600.0
ADDRESSES = 10_000


def person_named(name: str, locale: Locale | None = None, program: str = "") -> Person:
    return Person(platform=PLATFORM, workspace=SITE, id=name, locale=locale, program=program)


def conversation_of(person: Person) -> ConversationKey:
    """The only one of a person: a page has one chat, and a program names as many people as it likes."""
    return ConversationKey(platform=PLATFORM, workspace=SITE, chat=person.id)


FRONT = conversation_of(person_named("")).front


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A browser, and the cookie by which it is known again."""

    name: str
    cookie: str


class Visitors:
    """Knows browsers again, and limits how many new ones an address may bring."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._signer = Signer(key, salt="parley.web.visitors", digest_method=hashlib.sha256)
        self._new: TTLCache[str, int] = TTLCache(ADDRESSES, WINDOW, timer=clock.monotonic)

    def known(self, cookie: str) -> Visitor | None:
        """The browser with this cookie; None if the cookie is missing or not signed by this bot."""
        try:
            name = self._signer.unsign(cookie).decode("ascii")
        except (BadSignature, UnicodeDecodeError):
            return None
        return Visitor(name=name, cookie=cookie)

    def welcome(self, address: str) -> Visitor | None:
        """A new browser; None if too many have come from its address."""
        client = client_at(address)
        count = self._new.get(client, 0)
        if count >= NEW_PER_ADDRESS:
            return None
        self._new[client] = count + 1
        name = f"v-{secrets.token_urlsafe(16)}"
        return Visitor(name=name, cookie=self._signer.sign(name).decode("ascii"))
