"""Which requests of browsers are refused."""

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from core.serving.browsers import Guests, OwnSiteOnly

APP = OwnSiteOnly(PlainTextResponse("ok"), hosts=["Parley"], signed=["/hook"])
GUESTS = Guests(origins=["https://shop.example"], below="/api/")
HOST = OwnSiteOnly(PlainTextResponse("ok"), hosts=["Parley"], signed=["/hook"], guests=GUESTS)


async def status(path: str = "/", app: OwnSiteOnly = APP, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8080") as client:
        return (await client.get(path, headers=named)).status_code


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "10.1.2.3:80", "parley:8080", "PARLEY"])
async def test_the_servers_names_and_addresses_lead_to_it(host: str) -> None:
    """Addresses, "localhost" and the configured names are answered."""
    assert await status(host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", "[", ""]
)
async def test_another_name_is_refused(host: str) -> None:
    """A name that a page's author can let lead to this address is refused, unless the path needs a secret anyway."""
    assert await status(host=host) == 421
    assert await status("/hook", host=host) == 200
    assert await status(app=OwnSiteOnly(PlainTextResponse("ok"), hosts=None), host=host) == 200


@pytest.mark.parametrize("path", ["/", "/hook"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of"])
async def test_requests_of_other_sites_are_refused(path: str, site: str) -> None:
    """What a browser sends for a page of another site is refused on every path, by Sec-Fetch-Site or else by Origin."""
    assert await status(path, sec_fetch_site=site) == 403
    assert await status(path, origin="http://evil.example") == 403
    assert await status(path, origin="null") == 403


@pytest.mark.parametrize(
    ("path", "origin", "expected"),
    [
        ("/api/history", "https://shop.example", 200),
        ("/api/history", "https://shop.example.evil", 403),
        ("/api/history", "http://shop.example", 403),
        ("/api/history", "null", 403),
        ("/api", "https://shop.example", 403),
        ("/", "https://shop.example", 403),
        ("/metrics", "https://shop.example", 403),
        ("/hook", "https://shop.example", 403),
    ],
)
@pytest.mark.parametrize("fetch", [{}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}])
async def test_guests_reach_their_paths_alone(path: str, origin: str, expected: int, fetch: dict[str, str]) -> None:
    """A page of a listed origin, and of no other, may ask what lies below the path, and nothing else."""
    assert await status(path, HOST, origin=origin, **fetch) == expected


async def test_without_an_origin_nobody_is_a_guest() -> None:
    """A picture or a link in a listed page names no origin, and is refused."""
    assert await status("/api/history", HOST, sec_fetch_site="cross-site") == 403


async def test_a_guest_comes_without_cookies() -> None:
    """The cookie of a guest's request goes no further; that of the server's own page does."""
    guest = {"origin": "https://shop.example", "sec_fetch_site": "same-site"}
    assert await cookies_of(**guest) == []
    assert await cookies_of(sec_fetch_site="same-origin") == ["parley=x"]


async def cookies_of(**headers: str) -> list[str]:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(Headers(scope=scope).getlist("cookie"))
        await PlainTextResponse("ok")(scope, receive, send)

    await status("/api/history", OwnSiteOnly(app, hosts=[], guests=GUESTS), cookie="parley=x", **headers)
    return seen


async def test_requests_of_the_person_and_of_programs_are_answered() -> None:
    """A typed address, a page of this server, and a program without these headers are answered."""
    assert await status(sec_fetch_site="none") == 200
    assert await status(sec_fetch_site="same-origin", origin="http://localhost:8080") == 200
    assert await status(origin="http://localhost:8080") == 200
    assert await status() == 200
