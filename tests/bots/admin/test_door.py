"""Nobody sees the operator's page who has not signed in, and no other site can use it for them."""

from http.cookies import SimpleCookie

import httpx
import pytest
from fastapi import APIRouter
from starlette.applications import Starlette

from bots.admin.site import admin_site
from bots.admin.tries import MOST_TRIES, WINDOW
from core.keys import Scope, add_key, revoke_key
from core.operators import IDLE_SECONDS, SESSION_SECONDS, USES_APART, set_password
from core.tokens import ENTROPY_BYTES
from tests.bots.admin.headquarters import HASHED, PASSWORD, Headquarters, every_route, form_token, open_headquarters

ENTROPY = bytes(range(ENTROPY_BYTES))


async def test_without_a_password_there_is_no_page() -> None:
    """Without a password and without a key of operators every path is unknown, that to sign in too."""
    async with open_headquarters(password="") as office:
        for method, path in [*every_route(office), ("POST", "/admin/sign-in")]:
            answer = await office.browser.request(method, path, data={"password": ""} if method == "POST" else None)
            assert answer.status_code == 404, path


async def test_every_page_wants_an_operator(office: Headquarters) -> None:
    """Each route asks a stranger, and somebody with an invented cookie, to sign in, and tells nothing else."""
    for cookie in ("", "parley-operator=abc"):
        for method, path in every_route(office):
            answer = await office.browser.request(method, path, headers={"cookie": cookie})
            assert answer.status_code == 401, path
            assert 'action="/admin/sign-in"' in answer.text
            assert "form_token" not in answer.text


async def test_every_form_wants_its_token(operator: Headquarters) -> None:
    """No form is obeyed without the token of its session, or with that of another one."""
    forms = [path for method, path in every_route(operator) if method == "POST"]
    assert "/admin/sign-out" in forms
    for path in forms:
        for token in ({}, {"form_token": "0" * 64}, {"form_token": "ß"}):
            assert (await operator.browser.post(path, data=token)).status_code == 403, path
    assert await operator.read("health")


async def test_a_room_is_guarded_whatever_its_routes_ask_for(office: Headquarters) -> None:
    """A route that takes no visit is closed to strangers all the same, and wants the token of its forms."""
    room = APIRouter()
    room.add_api_route("/room", _nothing, methods=["GET", "POST"])
    app = Starlette(routes=[admin_site(office.office, [room])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as browser:
        assert [(await browser.request(method, "/admin/room")).status_code for method in ("GET", "POST")] == [401, 401]
        await browser.post("/admin/sign-in", data={"password": PASSWORD})
        assert [(await browser.request(method, "/admin/room")).status_code for method in ("GET", "POST")] == [200, 403]


async def _nothing() -> None:
    """A page without a guard of its own."""


async def test_the_password_opens_a_session(office: Headquarters) -> None:
    """The right one leads to the overview with a cookie that no script and no other site gets; the wrong one does not.

    The cookie is for TLS alone if the page was asked for by TLS.
    """
    assert (await office.sign_in("correct horse batterz")).status_code == 401
    entered = await office.sign_in()
    assert (entered.status_code, entered.headers["location"]) == (303, "/admin/")
    (morsel,) = SimpleCookie(entered.headers["set-cookie"]).values()
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["secure"]) == (True, "lax", "/admin", "")
    assert "Health" in await office.read("health")
    office.browser.base_url = "https://127.0.0.1"
    (safe,) = SimpleCookie((await office.sign_in()).headers["set-cookie"]).values()
    assert safe["secure"] is True


async def test_signing_out_ends_the_session(operator: Headquarters) -> None:
    """The cookie opens nothing afterwards, even if somebody has kept it."""
    kept = dict(operator.browser.cookies)
    assert (await operator.send("sign-out")).status_code == 303
    assert not operator.browser.cookies
    operator.browser.cookies.update(kept)
    assert (await operator.browser.get("/admin/health")).status_code == 401


async def test_a_new_password_signs_everybody_out(operator: Headquarters) -> None:
    """Sessions of before end at once."""
    await operator.store.run(set_password, HASHED)
    assert (await operator.browser.get("/admin/health")).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(IDLE_SECONDS, 200), (IDLE_SECONDS + 1, 401), (-1.0, 401)])
async def test_a_session_ends_if_it_is_not_used(operator: Headquarters, seconds: float, status: int) -> None:
    """It lasts for the idle time after its last use, and not if the clock was set back."""
    operator.clock.jump(seconds)
    assert (await operator.browser.get("/admin/health")).status_code == status


async def test_a_session_ends_however_much_it_is_used(operator: Headquarters) -> None:
    """After a week operators sign in again."""
    begun = operator.clock.now()
    while operator.clock.now() + IDLE_SECONDS <= begun + SESSION_SECONDS:
        operator.clock.jump(IDLE_SECONDS)
        assert (await operator.browser.get("/admin/health")).status_code == 200
    operator.clock.jump(begun + SESSION_SECONDS + 1 - operator.clock.now())
    assert (await operator.browser.get("/admin/health")).status_code == 401


async def test_looking_at_pages_writes_once_a_minute(operator: Headquarters) -> None:
    """A session is read with each request, and its use is noted once a minute; if that fails, the page is shown."""
    noted: list[float] = []
    for _ in range(3):
        operator.clock.jump(USES_APART / 2)
        await operator.store.run(lambda c: c.exec_driver_sql("CREATE TABLE kept AS SELECT * FROM sessions"))
        assert (await operator.browser.get("/admin/queue")).status_code == 200
        noted += await operator.store.read(
            lambda c: c.exec_driver_sql("SELECT used_at FROM sessions EXCEPT SELECT used_at FROM kept").scalars().all()
        )
        await operator.store.run(lambda c: c.exec_driver_sql("DROP TABLE kept"))
    assert len(noted) == 1
    operator.clock.jump(USES_APART)
    await operator.store.run(
        lambda c: c.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    )
    assert (await operator.browser.get("/admin/queue")).status_code == 200


async def test_a_key_of_operators_signs_in(office: Headquarters) -> None:
    """It opens a session that ends with the key; a key of another scope opens none."""
    key = await office.store.run(add_key, "anna", [Scope.ADMIN], ENTROPY, office.clock.now())
    other = await office.store.run(add_key, "shop", [Scope.CHAT], bytes(ENTROPY_BYTES), office.clock.now())
    assert (await office.sign_in(other)).status_code == 401
    assert (await office.sign_in(key)).status_code == 303
    await office.read("health")
    await office.store.run(revoke_key, "anna", office.clock.now())
    assert (await office.browser.get("/admin/health")).status_code == 401


async def test_a_key_alone_opens_the_page() -> None:
    """Without a password a key of operators is enough, and no password fits."""
    async with open_headquarters(password="") as office:
        key = await office.store.run(add_key, "anna", [Scope.ADMIN], ENTROPY, office.clock.now())
        assert (await office.sign_in(" ")).status_code == 401
        assert (await office.sign_in(key)).status_code == 303


async def test_guessing_is_slow(office: Headquarters) -> None:
    """After some tries that fail an address must wait, even with the right password, and is told for how long."""
    for _ in range(MOST_TRIES):
        assert (await office.sign_in("a wrong password")).status_code == 401
    refused = await office.sign_in()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "900")
    office.clock.advance(WINDOW + 1)
    assert (await office.sign_in()).status_code == 303


async def test_success_forgives_the_tries_before(office: Headquarters) -> None:
    """An operator who mistypes now and then is not shut out."""
    for _ in range(3):
        for _ in range(MOST_TRIES - 1):
            assert (await office.sign_in("a wrong password")).status_code == 401
        assert (await office.sign_in()).status_code == 303


async def test_no_session_is_stored(operator: Headquarters) -> None:
    """The table has no row with a part of the token that would let it be guessed."""
    token = next(iter(operator.browser.cookies.values()))
    rows = await operator.store.read(lambda open_: str(open_.exec_driver_sql("SELECT * FROM sessions").all()))
    assert token[:8] not in rows
    assert form_token(await operator.read("health")) not in rows


async def test_another_site_cannot_use_the_page(operator: Headquarters) -> None:
    """A form of another site is refused before it is read, and no site may show the page in a frame."""
    token = form_token(await operator.read("health"))
    sent = await operator.browser.post(
        "/admin/sign-out", data={"form_token": token}, headers={"sec-fetch-site": "cross-site"}
    )
    assert sent.status_code == 403
    policy = (await operator.browser.get("/admin/health")).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
