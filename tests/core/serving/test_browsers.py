"""Which requests of browsers are refused."""

import httpx
import pytest
from starlette.responses import PlainTextResponse

from core.serving.browsers import OwnSiteOnly

APP = OwnSiteOnly(PlainTextResponse("ok"), hosts=["Parley"], signed=["/hook"])


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


async def test_requests_of_the_person_and_of_programs_are_answered() -> None:
    """A typed address, a page of this server, and a program without these headers are answered."""
    assert await status(sec_fetch_site="none") == 200
    assert await status(sec_fetch_site="same-origin", origin="http://localhost:8080") == 200
    assert await status(origin="http://localhost:8080") == 200
    assert await status() == 200
