"""A real Chromium for tests of pages. Importing this skips a test's module without Chromium and the extra "browser"."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.async_api", reason='needs the extra "browser"')
axe = pytest.importorskip("axe_playwright_python.async_playwright", reason='needs the extra "browser"')
if CHROMIUM is None:
    pytest.skip("needs Chromium", allow_module_level=True)

PHONE = {
    "viewport": {"width": 360, "height": 640},
    "locale": "zh-CN",
    "color_scheme": "dark",
    "reduced_motion": "reduce",
}
Browser: TypeAlias = Any
Page: TypeAlias = Any
"""Of playwright, which comes with an extra."""


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    async with playwright.async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


async def faults(page: Page) -> list[str]:
    """What axe-core finds wrong for people who use keyboards, screen readers or strong contrast."""
    found = await axe.Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found.response["violations"]]
