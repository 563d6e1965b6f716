"""What operators see."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from starlette.applications import Starlette

from bots.admin.charts import CHARTS
from bots.admin.rendering import PAGES
from bots.admin.site import admin_site
from bots.fronts import DEFAULT_WELCOME, Health
from bots.web.front import Web
from config.settings import Settings, TelegramSettings
from core.messages import Reply, Source
from tests.bots.admin.headquarters import Headquarters, every_route, form_token, open_headquarters


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
async def test_every_page_of_the_menu_is_there(operator: Headquarters, page: str, language: str) -> None:
    """Each page of the menu can be read in both languages, and marks itself there."""
    operator.browser.headers["accept-language"] = language
    text = await operator.read(page)
    assert f'href="/admin/{page}" aria-current="page"' in text
    assert f'<html lang="{"zh-Hans" if language == "zh-CN" else "en"}">' in text


async def test_a_language_is_kept(operator: Headquarters) -> None:
    """The language that was chosen stays, whatever the browser prefers."""
    assert "健康" in await operator.read("health?lang=zh")
    assert "健康" in await operator.read("health")


async def test_secrets_are_not_shown() -> None:
    """The settings say that a secret is set, and not what it is; options that somebody has set are marked."""
    settings = Settings(telegram=TelegramSettings.model_validate({"token": "7001:of-this-test"}))
    async with open_headquarters(settings=settings) as office:
        await office.sign_in()
        page = await office.read("settings")
    assert "of-this-test" not in page
    row = page.partition("<code>telegram.token</code>")[2].partition("</tr>")[0]
    assert "(set, not shown)" in row
    assert page.partition("<code>telegram.mode</code>")[0].count('<tr class="set">') == 1


async def test_the_overview_has_the_numbers_of_today(operator: Headquarters) -> None:
    """Messages are counted above the charts and in their tables, and each chart is a picture in the page's language."""
    for _ in range(3):
        await operator.ask("Hello?", Reply(text="Hi.", source=Source.MODEL))
    page = await operator.read("?lang=zh")
    assert "<dt>消息</dt><dd>3 <small>30 天：3</small></dd>" in page
    assert '<td class="number">3</td>' in page
    for name in CHARTS:
        assert f'<img src="/admin/charts/{name}.svg?lang=zh"' in page
        picture = await operator.browser.get(f"/admin/charts/{name}.svg?lang=zh")
        assert picture.headers["content-type"] == "image/svg+xml"
        assert 'lang="zh"' in picture.text
    assert (await operator.browser.get("/admin/charts/nothing.svg")).status_code == 404


async def test_health_is_that_of_the_parts(operator: Headquarters) -> None:
    """The store and the model are named, and the platform that is served."""
    page = await operator.read("health")
    assert page.count("works</td>") == 4
    assert "mini" in page


class Waiting(Web):
    """A front end whose messages another gateway fetches."""

    def health(self) -> Health:
        return Health(connected=True, heard_at=0.0, standing_by=True)


@pytest.mark.parametrize(("language", "words"), [("en", "another gateway"), ("zh", "另一个网关")])
async def test_health_tells_that_another_gateway_fetches(operator: Headquarters, language: str, words: str) -> None:
    """The platform works, and this gateway is ready to take over."""
    waiting = Waiting(Settings().web, operator.clock, DEFAULT_WELCOME)
    app = Starlette(routes=[admin_site(replace(operator.office, fronts=[waiting]))])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
        browser.cookies.update(operator.browser.cookies)
        page = (await browser.get(f"/admin/health?lang={language}")).text
    assert words in page.partition('<tr><th scope="row">web</th>')[2].partition("</tr>")[0]


async def test_the_queue_is_counted(operator: Headquarters) -> None:
    """A turn that has its reply is being shown; the part that changes is no whole page."""
    await operator.ask("Hello?", Reply(text="Hi.", source=Source.MODEL))
    operator.clock.jump(120)
    part = await operator.read("queue/now")
    assert "<dt>Are being shown</dt><dd>1</dd>" in part
    assert "<td>web</td><td>Are being shown</td>" in part
    assert "2 minutes" in part
    assert "Hello" not in part
    assert "<html" not in part
    assert part in await operator.read("queue")


async def test_a_search_shows_scores(tmp_path: Path) -> None:
    """A question finds passages, with their scores and what the bot would do; what is unlike is called so."""
    (tmp_path / "faq.csv").write_text("questions,answer\nDo you sell umbrellas?,In <i>blue</i>.\n")
    async with open_headquarters(knowledge=tmp_path) as office:
        await office.sign_in()
        found = await office.read("search?question=Do+you+sell+umbrellas%3F")
        assert "would be said word for word" in found
        assert "In &lt;i&gt;blue&lt;/i&gt;." in found
        assert "too unlike" in await office.read("search?question=xyzzy")


async def test_an_unknown_page_is_said_in_words(operator: Headquarters) -> None:
    """A path without a page, a method that is not meant and a number that is none have a page of their own."""
    for method, path, status in [("GET", "nothing", 404), ("POST", "health", 405), ("GET", "gaps/x", 422)]:
        answer = await operator.browser.request(method, f"/admin/{path}")
        assert (answer.status_code, "This did not work" in answer.text) == (status, True), path


@pytest.mark.parametrize("odd", ["0", "-1", "9" * 30, "1.5", "\x00", "\ud800", "ß" * 800, "%", "telegram//", "/"])
async def test_nothing_odd_is_a_server_error(operator: Headquarters, odd: str) -> None:
    """Whatever stands in an address or in a form, each page answers, or says that something is wrong there."""
    value = odd.encode("utf-8", "surrogatepass")
    await operator.ask("Hello?", Reply(text="Hi.", source=Source.MODEL))
    fields = ("number", "wordings", "answer", "step", "person", "decision", "part", "password")
    form = {"form_token": form_token(await operator.read("health")), **dict.fromkeys(fields, odd)}
    body = urlencode(form, errors="surrogatepass")
    query = urlencode(dict.fromkeys(("question", "before", "after", "turn", "person", "part", "lang"), value))
    for method, path in every_route(operator):
        if path != "/admin/sign-out":
            answer = await operator.browser.request(
                method,
                f"{path.removesuffix('1')}{quote(value, safe='') if path.endswith('1') else ''}?{query}",
                content=body if method == "POST" else None,
                headers={"content-type": "application/x-www-form-urlencoded"},
            )
            assert answer.status_code < 500, path
