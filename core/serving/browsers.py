"""Protection from web pages: a person's browser can reach servers on their machine that the page's author cannot."""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = "localhost"
OWN_SITE = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site: the page is the server's own, or the person typed the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """Other sites whose pages may send requests to the paths below one, such as "/api/". `origins` name them."""

    origins: Collection[str]
    below: str


NO_GUESTS = Guests(origins=(), below="/")


class OwnSiteOnly:
    """Refuses requests from pages of other sites, and those that do not name this server as `Host`.

    The second check stops DNS rebinding: a page's author can let their own name lead to any address, but a browser
    still sends that name. `hosts` are names beside "localhost" and addresses, None for any. `signed` are paths whose
    requests carry a secret that no browser has, so any name may lead to them. Pages of other sites may lead to the
    paths that are `public`, and fetch them. Requests of `guests` are passed on without their cookies: a person's cookie
    is for the pages of this server.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str] | None,
        signed: Collection[str] = (),
        public: Collection[str] = (),
        guests: Guests = NO_GUESTS,
    ) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in (LOCAL, *hosts))
        self._signed = frozenset(signed)
        self._public = frozenset(public)
        self._guests = guests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        is_public = scope["method"] == "GET" and scope["path"] in self._public
        if not is_public and _is_of_another_site(headers):
            if not self._is_guest(headers, scope["path"]):
                await PlainTextResponse("Forbidden", 403)(scope, receive, send)
                return
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"cookie"]}
        if scope["path"] not in self._signed and not self._is_named(headers.get("host", "")):
            await PlainTextResponse("Misdirected Request", 421)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_guest(self, headers: Headers, path: str) -> bool:
        return headers.get("origin") in self._guests.origins and path.startswith(self._guests.below)

    def _is_named(self, host: str) -> bool:
        """Whether the name is one of this server's, or an address: those need no DNS."""
        if self._hosts is None:
            return True
        name = _name(host)
        try:
            ip_address(name)
        except ValueError:
            return name in self._hosts
        return True


def _is_of_another_site(headers: Headers) -> bool:
    """Whether a browser says that a page of another site makes the request. Programs send neither header.

    The rules of https://words.filippo.io/csrf/, but for every method: even a GET costs time here.
    """
    if site := headers.get("sec-fetch-site"):
        return site not in OWN_SITE
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _name(host: str) -> str:
    """The name or address in a Host header, in lower case; empty if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
