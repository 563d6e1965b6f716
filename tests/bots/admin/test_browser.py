"""The operator's page in a real browser. Needs Chromium and the extra "browser"."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bots.admin.rendering import PAGES
from bots.web.server import serving
from bots.web.visitors import conversation_of, person_named
from config.settings import AdminSettings, Settings, WebSettings
from core.clock import SystemClock
from core.messages import Reply, Source
from core.store import conversations
from tests.bots.admin.headquarters import PASSWORD, Headquarters, open_headquarters
from tests.bots.chromium import PHONE, Browser, Page, faults, open_browser
from tests.bots.letters import add_dead_letter
from tests.ports import free_port

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>' + "x" * 300
UNKNOWN = Reply(text="I do not know.", source=Source.REFUSAL, error="not_known")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Headquarters, str]]:
    """An operator's page, and its address. A question with markup was asked in vain, and a turn was given up on.
    Operators may read all.
    """
    (folder / "faq.csv").write_text("questions,answer\nDo you sell umbrellas?,In blue.\n")
    settings, reading = WebSettings(port=free_port()), Settings(admin=AdminSettings(read_conversations=True))
    async with (
        open_headquarters(knowledge=folder, settings=reading) as office,
        serving(office.app, settings, SystemClock()),
    ):
        await office.ask(HOSTILE, UNKNOWN)
        await add_dead_letter(office.store, office.clock)
        yield office, f"http://127.0.0.1:{settings.port}/admin/"


async def sign_in(page: Page, address: str) -> None:
    """By the keyboard alone: the field has the focus."""
    await page.goto(address)
    await page.wait_for_function("document.activeElement.id === 'password'")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("nav")


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desk", "phone"])
async def test_everybody_can_use_it(browser: Browser, tmp_path: Path, options: dict[str, Any]) -> None:
    """axe-core finds nothing on any page, nothing is wider than the screen, no markup is code, no policy is broken."""
    async with served(tmp_path) as (_, address):
        page = await (await browser.new_context(**options)).new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        await page.goto(address)
        assert await faults(page) == []
        await sign_in(page, address)
        for path in (*PAGES, "gaps/1", "conversations/1", "search?question=umbrellas", "nothing"):
            await page.goto(address + path)
            assert await faults(page) == [], path
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert await page.evaluate("window.hacked") is None
        assert problems == []


async def test_a_gap_is_answered(browser: Browser, tmp_path: Path) -> None:
    """An operator signs in, chooses a gap, tries an answer, mends it, and has it learned."""
    async with served(tmp_path) as (office, address):
        page = await browser.new_page()
        await sign_in(page, address)
        await office.ask("How deep is the pool?", UNKNOWN)
        await page.click("nav >> text=Gaps")
        await page.click("text=How deep is the pool?")
        await page.fill("#wordings", "Is there a lift?")
        await page.fill("#answer", "Two metres.")
        await page.click("text=Try it")
        await page.wait_for_selector("[role=status].bad")
        await page.fill("#wordings", "How deep is the pool?")
        await page.click("text=Try it")
        await page.wait_for_selector("[role=status].good")
        await page.click("text=Learn it")
        await page.wait_for_url("**/admin/gaps")
        assert "Two metres." in (tmp_path / "answered.toml").read_text()


async def test_the_queue_is_live(browser: Browser, tmp_path: Path) -> None:
    """What happens is shown without a reload; once the session has ended, the page asks to sign in again."""
    async with served(tmp_path) as (office, address):
        page = await browser.new_page()
        await sign_in(page, address)
        await page.goto(address + "queue")
        shown = page.locator("dd").nth(2)
        before = int(await shown.inner_text())
        await office.ask("Hello?", Reply(text="Hi.", source=Source.MODEL))
        await page.wait_for_function(
            "before => document.querySelectorAll('dd')[2].innerText === String(before + 1)", arg=before
        )
        await page.context.clear_cookies()
        await page.wait_for_selector("#password")


async def test_a_person_is_forgotten(browser: Browser, tmp_path: Path) -> None:
    """The button asks first; the page to answer can be used by everybody, and the person is gone afterwards."""
    async with served(tmp_path) as (office, address):
        page = await browser.new_page()
        await sign_in(page, address)
        await page.click("nav >> text=People")
        await page.click("li:has-text('web:ann') >> text=Forget")
        await page.wait_for_selector("text=Delete everything")
        assert await faults(page) == []
        await page.click("text=Delete everything")
        await page.wait_for_selector("[role=status].good")
        extract = await office.store.read(conversations.said, conversation_of(person_named("ann")))
        assert extract.turns == ()
