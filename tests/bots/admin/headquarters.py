"""The operator's page of a bot with a scripted model, asked without a socket."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.applications import Starlette

from bots.admin.office import Office, open_office
from bots.admin.site import admin_site
from bots.app import Bot
from bots.web.front import open_web
from bots.web.server import web_app
from bots.web.visitors import conversation_of, person_named
from config.settings import Settings
from core.admission import Admission
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.intent import IntentReader
from core.knowledge.knowledge import Knowledge, KnowledgeOptions
from core.messages import Message, Reply
from core.operators import hash_password, set_password
from core.stages.knowledge import Expertise
from core.store import Store, open_store, people, turns
from tests.idle import Idle
from tests.options import limits_with

PASSWORD = "correct horse battery"
HASHED = hash_password(PASSWORD)
PARAMETER = re.compile(r"{\w+}")
TOKEN = 'name="form_token" value="'


@dataclass(frozen=True, slots=True, kw_only=True)
class Headquarters:
    """`browser` is an operator's, who has not signed in yet. `app` can be served to a real one."""

    store: Store
    clock: ManualClock
    browser: httpx.AsyncClient
    office: Office = field(repr=False)
    app: Starlette = field(repr=False)
    engine: ScriptedEngine

    async def ask(self, text: str, reply: Reply, who: str = "ann") -> int:
        """A question with its reply, as the worker would have left them. Returns its turn."""
        sender = person_named(who)
        message = Message(
            event_keys=(), conversation=conversation_of(sender), sender=sender, text=text, sent_at=self.clock.now()
        )
        row = await self.store.run(people.find_or_add, sender)
        return await self.store.run(turns.add, row.id, message, "en", self.clock.now(), reply)

    async def sign_in(self, password: str = PASSWORD) -> httpx.Response:
        return await self.browser.post("/admin/sign-in", data={"password": password})

    async def read(self, page: str) -> str:
        """The text of a page of an operator who has signed in."""
        answer = await self.browser.get(f"/admin/{page}")
        assert answer.status_code == 200, answer.text
        return answer.text

    async def send(self, page: str, **fields: str) -> httpx.Response:
        """Send a form, with the token that the pages have."""
        values: Mapping[str, str] = {"form_token": form_token(await self.read("health")), **fields}
        return await self.browser.post(f"/admin/{page}", data=values)


def form_token(text: str) -> str:
    return text.partition(TOKEN)[2].partition('"')[0]


@asynccontextmanager
async def open_headquarters(
    *, password: str = HASHED, knowledge: Path | None = None, settings: Settings | None = None
) -> AsyncIterator[Headquarters]:
    """An operator's page, with a folder of knowledge if there is one."""
    clock, engine, settings = ManualClock(), ScriptedEngine.fixed("ok"), settings or Settings()
    async with open_store("sqlite://") as store, open_web(settings.web, clock) as front:
        await store.run(set_password, password)
        admission = Admission(store, clock, limits_with(), Idle())
        expertise = _expertise(knowledge, engine) if knowledge else None
        bot = Bot(admission=admission, store=store, engine=engine, expertise=expertise)
        office = open_office(bot, [front], settings, clock)
        app = web_app(bot, [front], clock, more=[admin_site(office)])
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
            yield Headquarters(store=store, clock=clock, browser=browser, office=office, app=app, engine=engine)


def _expertise(folder: Path, engine: ScriptedEngine) -> Expertise:
    options = KnowledgeOptions(folder=folder, index_path=folder / "index", embedder=None)
    return Expertise(knowledge=Knowledge.read(options), folder=folder, intents=IntentReader(engine), strict=True)


def every_route(office: Headquarters) -> list[tuple[str, str]]:
    """The method and the path of each route but that to sign in, with a number where it has a parameter."""
    app = admin_site(office.office).app
    assert isinstance(app, FastAPI)
    described = app.openapi()["paths"].items()
    pairs = [(method.upper(), PARAMETER.sub("1", f"/admin{path}")) for path, methods in described for method in methods]
    return [(method, path) for method, path in pairs if path != "/admin/sign-in"]
