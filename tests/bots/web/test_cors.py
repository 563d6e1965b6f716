"""Pages of other sites may use the HTTP interface with a key if they are listed, and never with the page's cookie."""

import httpx
import pytest
from pydantic import ValidationError

from config.settings import WebSettings
from core.engine.scripted import ScriptedEngine
from tests.bots.web.site import Site, open_site

SHOP, OTHER = "https://shop.example", "https://other.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, parley-user, prefer",
}
ALLOWED = "access-control-allow-origin"


def of(origin: str) -> dict[str, str]:
    """The headers of a browser that shows a page of this origin."""
    return {"Origin": origin, "Sec-Fetch-Site": "cross-site"}


async def preflight(site: Site, origin: str, path: str = "/api/chat") -> httpx.Response:
    return await site.browser.options(path, headers=of(origin) | PREFLIGHT)


async def ask(client: httpx.AsyncClient, origin: str) -> httpx.Response:
    return await client.post("/api/chat", json={"text": "Hi"}, headers=of(origin))


async def test_it_is_off_by_default() -> None:
    """Neither the preflight of another site nor its call with a key is answered, and no header allows it."""
    async with open_site(ScriptedEngine.fixed("ok")) as site:
        for answer in (await preflight(site, SHOP), await ask(site.program, SHOP)):
            assert (answer.status_code, answer.headers.get(ALLOWED)) == (403, None)


async def test_a_listed_site_calls_with_a_key() -> None:
    """The preflight allows what a program needs, for this origin and without credentials; the call is answered."""
    async with open_site(ScriptedEngine.fixed("ok"), cors=[SHOP]) as site:
        asked = await preflight(site, SHOP)
        assert (asked.status_code, asked.headers[ALLOWED]) == (200, SHOP)
        assert "access-control-allow-credentials" not in asked.headers
        answer = await ask(site.program, SHOP)
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, SHOP)
        assert answer.json()["reply"]["markdown"] == "ok"
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_refused_key_is_told_to_a_listed_site() -> None:
    """The page can read why it is refused: errors have the header too."""
    async with open_site(ScriptedEngine.fixed("ok"), cors=[SHOP]) as site:
        answer = await ask(site.browser, SHOP)
        assert (answer.status_code, answer.headers[ALLOWED]) == (401, SHOP)


async def test_the_pages_cookie_is_for_the_page_alone() -> None:
    """The cookie of the chat page opens nothing for a listed site, also one of the same registered domain."""
    async with open_site(ScriptedEngine.fixed("ok"), cors=[SHOP]) as site:
        await site.browser.get("/")
        assert (await site.browser.get("/api/history")).status_code == 200
        for fetch in ("cross-site", "same-site"):
            answer = await site.browser.get("/api/history", headers={"Origin": SHOP, "Sec-Fetch-Site": fetch})
            assert answer.status_code == 401


async def test_other_sites_and_other_paths_stay_closed() -> None:
    """Another origin is refused as before, and the listed one anywhere but at the interface."""
    async with open_site(ScriptedEngine.fixed("ok"), cors=[SHOP]) as site:
        for answer in (await preflight(site, OTHER), await ask(site.program, OTHER)):
            assert (answer.status_code, answer.headers.get(ALLOWED)) == (403, None)
        for path in ("/health", "/metrics", "/static/chat.js"):
            assert (await site.program.get(path, headers=of(SHOP))).status_code == 403


def test_the_setting_names_origins_and_needs_keys() -> None:
    """A star, a path or a list without `web.api` is an error at the start."""
    for wrong in ("*", "https://shop.example/page", "shop.example"):
        with pytest.raises(ValidationError, match="origin"):
            WebSettings(api=True, cors=(wrong,))
    with pytest.raises(ValidationError, match="cors needs api"):
        WebSettings(cors=(SHOP,))
