"""The chat page and the widget in a real browser. Needs Chromium and the extra "browser"."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from bots.fronts import Welcome
from bots.web.server import serving
from config.settings import WebSettings
from core.clock import SystemClock
from core.engine.scripted import ScriptedEngine
from tests.bots.chromium import PHONE, Browser, Page, faults, open_browser
from tests.bots.gateway import Plan, whole_answer
from tests.bots.web.site import open_site
from tests.faults.fork_server import ForkServer
from tests.ports import free_port

WELCOME = Welcome(name="Lamp", questions={"en": ["When do you open?"], "zh": ["几点开门？"]})
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>[a](javascript:window.hacked=1)'


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.keyboard.press("Enter")


async def answers(page: Page, count: int) -> Sequence[str]:
    """The texts of the answers once there are so many."""
    await page.wait_for_function("count => document.querySelectorAll('.turn .body').length === count", arg=count)
    found: Sequence[str] = await page.locator(".turn .body").all_inner_texts()
    return found


async def until_up(port: int) -> None:
    """Wait until a process that was started listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return await writer.wait_closed()


async def test_a_conversation(browser: Browser) -> None:
    """Ask by a suggested question and by typing; vote; the page shows all of it again after a reload, and forgets."""
    async with open_site(ScriptedEngine.fixed("We open at **nine**."), welcome=WELCOME) as site:
        page = await browser.new_page()
        await page.goto(site.address)
        await page.click("text=When do you open?")
        await answers(page, 1)
        await say(page, "And on Sundays?")
        assert await answers(page, 2) == ["We open at nine."] * 2
        await page.locator("[aria-label='Good answer']").first.click()
        await page.wait_for_selector("[aria-label='Good answer'][aria-pressed=true]")
        await page.reload()
        assert await answers(page, 2) == ["We open at nine."] * 2
        assert await page.locator("[aria-pressed=true]").count() == 1
        await page.click("#menu summary")
        await page.click("[data-command='/forget']")
        await page.click(".buttons >> text=Yes")
        await page.wait_for_function(
            "() => document.querySelectorAll('.turn').length === 4 && !document.querySelector('.writing')"
        )
        await page.reload()
        await page.wait_for_selector("#empty:not([hidden])")


async def test_an_answer_is_stopped(browser: Browser) -> None:
    """What is written is shown as it comes; "stop" ends it."""
    async with open_site(ScriptedEngine.hanging(3, text="one two three four")) as site:
        page = await browser.new_page()
        await page.goto(site.address)
        await say(page, "Count")
        await page.wait_for_selector(".writing .answer >> text=one two three")
        await page.click("#stop")
        assert "one two three" in (await answers(page, 1))[0]
        assert await page.locator("#stop").is_hidden()


async def test_a_question_that_is_asked_while_the_page_connects_is_shown(browser: Browser) -> None:
    """A transcript that comes between a question and its acceptance does not hide what follows."""
    async with open_site(ScriptedEngine.fixed("The shop is open.")) as site:
        page = await browser.new_page()
        has_asked = asyncio.Event()

        async def connect(route: Any) -> None:  # noqa: ANN401  of playwright
            await has_asked.wait()
            await route.continue_()

        async def accept(route: Any) -> None:  # noqa: ANN401
            has_asked.set()
            await page.wait_for_selector(".turn", state="detached")
            await route.continue_()

        await page.route("**/api/events", connect)
        await page.route("**/api/chat", accept)
        await page.goto(site.address)
        await say(page, "Are you open?")
        assert await answers(page, 1) == ["The shop is open."]


async def test_no_text_is_code(browser: Browser) -> None:
    """Markup in a question and in an answer stays text, while it is written and afterwards."""
    async with open_site(ScriptedEngine.fixed(HOSTILE)) as site:
        page = await browser.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(site.address)
        await say(page, HOSTILE)
        await answers(page, 1)
        await page.reload()
        assert "onerror" in (await answers(page, 1))[0]
        assert await page.evaluate("window.hacked") is None
        assert await page.locator("main img, main script, main a").count() == 0
        assert problems == []


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desk", "phone"])
async def test_everybody_can_use_it(browser: Browser, options: dict[str, Any]) -> None:
    """axe-core finds nothing, empty, in conversation and with the menu open; nothing is wider than a phone."""
    table = "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```\n" + "x" * 300 + "\n```\n\n" + "y" * 300
    async with open_site(ScriptedEngine.fixed(table), welcome=WELCOME) as site:
        context = await browser.new_context(**options)
        page = await context.new_page()
        await page.goto(site.address)
        await page.wait_for_selector("#empty:not([hidden])")
        assert await faults(page) == []
        await say(page, "z" * 300)
        await answers(page, 1)
        assert await faults(page) == []
        await page.click("#menu summary")
        assert await faults(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_the_keyboard_is_enough(browser: Browser) -> None:
    """Tab reaches the menu and the buttons of an answer; Escape closes the menu; Shift+Enter is a new line."""
    async with open_site(ScriptedEngine.fixed("ok")) as site:
        page = await browser.new_page()
        await page.goto(site.address)
        await page.keyboard.type("one")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("two")
        await page.keyboard.press("Enter")
        await answers(page, 1)
        assert await page.locator(".question span").last.inner_text() == "one\ntwo"
        await page.locator("#menu summary").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.dataset.command") == "/help"
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
        while await page.evaluate("document.activeElement.getAttribute('aria-label')") != "Bad answer":
            await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        await page.wait_for_selector("[aria-label='Bad answer'][aria-pressed=true]")


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_another_site_shows_the_chat(browser: Browser, *, is_allowed: bool) -> None:
    """The widget opens the chat in a frame of an allowed site, and of no other."""
    shop = WebSettings(port=free_port())
    origin = f"http://127.0.0.1:{shop.port}"
    async with open_site(ScriptedEngine.fixed("ok"), origins=[origin] if is_allowed else []) as site:
        page = await browser.new_page()
        async with serving(shop_showing(site.address), shop, SystemClock()):
            await page.goto(origin)
            button, frame = page.get_by_role("button", name="Open the chat"), page.frame_locator("iframe")
            if is_allowed:
                await button.click()
                await frame.locator("#text").fill("Hi")
                await frame.locator("#send").click()
                await frame.locator(".turn .body").wait_for()
            else:
                async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
                    await button.click()
                assert await frame.locator("#text").count() == 0


def shop_showing(address: str) -> Starlette:
    """Another site, with the widget of the bot at an address."""
    document = f"<!doctype html><html lang=en><title>Shop</title><script src='{address}/widget.js'></script>"

    async def page(_request: Request) -> HTMLResponse:
        return HTMLResponse(document)

    return Starlette(routes=[Route("/", page)])


async def test_a_killed_bot_answers_once(browser: Browser, fork_server: ForkServer, tmp_path: Path) -> None:
    """Kill -9 while an answer is being written: the page connects again by itself, and shows the answer once."""
    plan = Plan(
        platform="web",
        settings={},
        port=free_port(),
        database=f"sqlite:///{tmp_path}/parley.db",
        point="finish uncommitted",
    )
    word = "w1x9"
    first = await fork_server.start(plan, tmp_path / "log")
    page = await browser.new_page()
    await until_up(plan.port)
    await page.goto(f"http://127.0.0.1:{plan.port}/")
    await say(page, word)
    assert await fork_server.wait(first) == -signal.SIGKILL
    again = await fork_server.start(
        Plan(platform="web", settings={}, port=plan.port, database=plan.database), tmp_path / "log"
    )
    [text] = await answers(page, 1)
    assert text.split() == whole_answer(word).split()
    os.kill(again, signal.SIGTERM)
    await asyncio.wait_for(fork_server.wait(again), 30)
