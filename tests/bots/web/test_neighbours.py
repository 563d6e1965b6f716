"""People on the web see at one gateway what another one answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.engine.scripted import ScriptedEngine
from tests.bots.web.site import Site, events_of, open_site

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def sites(empty_postgresql: str) -> AsyncIterator[tuple[Site, Site]]:
    """A gateway that answers nothing, and one that answers."""
    engine = ScriptedEngine.fixed("Yes, we do.")
    async with (
        open_site(engine, store_url=empty_postgresql, owner="b", poll=0.02) as answering,
        open_site(engine, store_url=empty_postgresql, owner="a", works=False, key=answering.key) as asked,
    ):
        await asked.program.post("/api/chat", json={"text": "Do both hear notices?"})
        yield asked, answering


async def test_a_question_waits_for_the_answer_of_another_gateway(sites: tuple[Site, Site]) -> None:
    """In one piece, as a stream, and for /forget, of which nothing is stored afterwards."""
    asked, _ = sites
    whole = (await asked.program.post("/api/chat", json={"text": "Do you ship?"})).json()
    assert whole["reply"]["markdown"] == "Yes, we do."
    async with asked.program.stream(
        "POST", "/api/chat", json={"text": "And there?"}, headers={"Accept": "text/event-stream"}
    ) as response:
        names = [name async for name, _ in events_of(response.aiter_lines())]
    assert names == ["begun", "replied"]
    forgotten = (await asked.program.post("/api/forget")).json()
    assert forgotten["turn"] is not None


async def test_who_looks_on_sees_the_answer_of_another_gateway(sites: tuple[Site, Site]) -> None:
    """Once each, also at the gateway that answers."""
    for site in sites:
        seen: list[str] = []
        async with site.program.stream("GET", "/api/events") as response:
            events = events_of(response.aiter_lines())
            assert (await anext(events))[0] == "transcript"
            asking = asyncio.create_task(sites[0].program.post("/api/chat", json={"text": f"{site.address}?"}))
            while seen.count("replied") < 1:
                seen.append((await anext(events))[0])
            await asking
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    seen.append((await anext(events))[0])
        assert [name for name in seen if name != "written"] == ["begun", "replied"]
