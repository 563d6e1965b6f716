"""The chat page: its cookie, its language, and who may show it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bots.fronts import Welcome
from bots.web.visitors import NEW_PER_ADDRESS
from core.engine.scripted import ScriptedEngine
from tests.bots.web.site import Event, Site, events_of, open_site

SHOP = "https://shop.example"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    welcome = Welcome(name="Lamp & <Leaf>", questions={"en": ["When do you open?"]})
    async with open_site(ScriptedEngine.fixed("ok"), welcome=welcome, origins=[SHOP]) as opened:
        yield opened


async def test_a_browser_is_known_again(site: Site) -> None:
    """The cookie of the page opens the interface, and the history is there at the next visit."""
    await site.browser.get("/")
    await site.browser.post("/api/chat", json={"text": "Hi"})
    await site.browser.get("/")
    assert [turn["question"] for turn in (await site.browser.get("/api/history")).json()["turns"]] == ["Hi"]


async def test_a_cookie_that_was_changed_is_a_stranger(site: Site) -> None:
    """Nobody becomes another by writing their name into the cookie."""
    await site.browser.get("/")
    signed = site.browser.cookies["parley"]
    name, _, signature = signed.partition(".")
    for forged in (f"{name}x.{signature}", name, f"v-other.{signature}"):
        async with httpx.AsyncClient(base_url=site.address, cookies={"parley": forged}) as other:
            assert (await other.get("/api/history")).status_code == 401


async def test_the_page_speaks_the_browsers_language(site: Site) -> None:
    """The language of the browser, or that of the link; names and questions are text."""
    english = (await site.browser.get("/", headers={"Accept-Language": "fr, en;q=0.8"})).text
    chinese = (await site.browser.get("/?lang=zh", headers={"Accept-Language": "en"})).text
    assert "<title>Chat with Lamp &amp; &lt;Leaf&gt;</title>" in english
    assert "When do you open?" in english
    assert 'lang="zh-Hans"' in chinese


async def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    """Its policy allows no inline script and no other host, and frames of the named sites alone."""
    answer = await site.browser.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert f"frame-ancestors {SHOP}" in policy
    assert "<script>" not in answer.text
    assert "style=" not in answer.text


async def test_other_sites_may_lead_to_the_page_only(site: Site) -> None:
    """A link and the widget's script work from another site; the interface does not, with any cookie."""
    await site.browser.get("/")
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": SHOP}
    for path, status in {"/": 200, "/widget.js": 200, "/api/history": 403, "/ready": 403}.items():
        assert (await site.browser.get(path, headers=elsewhere)).status_code == status, path
    assert (await site.browser.post("/api/chat", json={"text": "Hi"}, headers=elsewhere)).status_code == 403


async def test_an_address_brings_so_many_browsers(site: Site) -> None:
    """Each browser has a rate limit of its own, so that new ones are limited too; those that are known are not."""
    async with httpx.AsyncClient(base_url=site.address) as fresh:
        await site.browser.get("/")
        for _ in range(NEW_PER_ADDRESS):
            fresh.cookies.clear()
            last = await fresh.get("/")
        assert last.status_code == 429
        assert (await site.browser.get("/")).status_code == 200


async def test_all_that_happens_is_told(site: Site) -> None:
    """Who looks on gets the transcript, and then each turn as it is answered, also those asked in another window."""
    await site.browser.get("/")
    await site.browser.post("/api/chat", json={"text": "one"})
    async with site.browser.stream("GET", "/api/events") as response:
        events = events_of(response.aiter_lines())
        name, transcript = await anext(events)
        assert (name, [turn["question"] for turn in transcript["turns"]]) == ("transcript", ["one"])
        asking = asyncio.create_task(site.browser.post("/api/chat", json={"text": "two"}))
        told = [data async for name, data in _until(events, "replied") if name == "replied"]
        assert [turn["question"] for turn in told] == ["two"]
        await asking


async def _until(events: AsyncIterator[Event], last: str) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if event[0] == last:
            return


async def test_who_looks_on_does_not_keep_the_bot_from_stopping() -> None:
    """When the bot stops, its streams end."""
    async with httpx.AsyncClient() as looking:
        async with open_site(ScriptedEngine.fixed("ok")) as site:
            await looking.get(site.address)
            response = await looking.send(looking.build_request("GET", f"{site.address}/api/events"), stream=True)
            events = events_of(response.aiter_lines())
            assert await anext(events) == ("transcript", {"turns": []})
        assert [event async for event in events] == []
