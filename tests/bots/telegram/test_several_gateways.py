"""Several gateways with one PostgreSQL database: one fetches the updates, and all answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

from bots.fronts import Health
from bots.telegram.adapter import CHECK_SECONDS, open_telegram
from config.settings import TelegramSettings
from core.admission import Admission
from core.clock import ManualClock
from core.duties import Job
from core.engine.scripted import ScriptedEngine
from core.prompt import Prompt
from core.store import open_store
from tests.bots.telegram.conftest import LIMITS, Gateway, answers, echo, open_gateway
from tests.fakes.telegram.control import Account
from tests.idle import Idle


async def test_one_gateway_fetches_and_both_answer(account: Account, empty_postgresql: str) -> None:
    """The one that stands by says so, is connected, and delivers the answer to what the other one has fetched."""
    go_on = asyncio.Event()

    async def slow(_prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        await go_on.wait()
        yield "from a"

    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(
            open_gateway(account, ScriptedEngine(slow), database=empty_postgresql, slots=1)
        )
        await account.until(lambda journal: journal[-1:] and journal[-1]["do"] == "webhook")
        b = await stack.enter_async_context(
            open_gateway(account, ScriptedEngine.fixed("from b"), database=empty_postgresql, slots=1)
        )
        await until_standing_by(b)
        assert b.telegram.health().connected
        assert not a.telegram.health().standing_by
        for person in range(1, 5):
            await account.say("hello", person=person)
        await account.until(lambda journal: len(answers(journal, "from b")) == 3)
        go_on.set()
        journal = await account.until(lambda journal: len(answers(journal)) == 4)
    assert sorted(entry["text"][:6] for entry in answers(journal)) == ["from a", "from b", "from b", "from b"]
    assert [entry["url"] for entry in journal if entry["do"] == "webhook"] == [""]  # one has chosen to fetch


async def test_the_next_gateway_goes_on(account: Account, empty_postgresql: str) -> None:
    """When the gateway that fetches ends in order, the other one fetches what comes next, and each is answered once."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_gateway(account, echo(), database=empty_postgresql))
        await account.say("first", person=5)
        await account.until(lambda journal: answers(journal, "first"))
        async with open_gateway(account, echo(), database=empty_postgresql) as b:
            await until_standing_by(b)
            await stack.aclose()
            await account.say("second", person=5)
            journal = await account.until(lambda journal: answers(journal, "second"))
            assert not b.telegram.health().standing_by
            assert b.telegram.health().connected
    assert [entry["text"].split()[2] for entry in answers(journal)] == ["first", "second"]


class Elsewhere:
    """The `Duties` of a gateway while another one performs all of them."""

    async def perform(self, name: str, job: Job, meanwhile: Job) -> None:
        await meanwhile()


async def test_who_stands_by_asks_each_minute_whether_telegram_is_there(account: Account) -> None:
    """It claims no connection that it has not tried for long, and neither fetches nor removes a webhook."""
    clock = ManualClock()
    settings = TelegramSettings.model_validate({"token": account.token, "base_url": account.base_url})
    async with open_telegram(settings, clock) as telegram, open_store("sqlite://") as store:
        running = asyncio.create_task(telegram.run(Admission(store, clock, LIMITS, Idle(), duties=Elsewhere())))
        await clock.until_sleeping()
        assert telegram.health() == Health(connected=True, heard_at=0.0, standing_by=True)
        await account.faults({"kind": "error", "method": "getMe", "times": 1, "status": 502})
        clock.advance(CHECK_SECONDS)
        await clock.until_sleeping()
        assert not telegram.health().connected
        clock.advance(1)
        while not telegram.health().connected:
            await asyncio.sleep(0)
        assert telegram.health() == Health(connected=True, heard_at=CHECK_SECONDS + 1, standing_by=True)
        running.cancel()
        await asyncio.wait([running])
    assert (await account.state())["polls"] == 0
    assert not [entry for entry in await account.journal() if entry["do"] == "webhook"]


async def until_standing_by(gateway: Gateway) -> None:
    while not gateway.telegram.health().standing_by:
        await asyncio.sleep(0.01)
