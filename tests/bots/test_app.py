"""The composed bot on a manual clock."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from bots.app import (
    CALIBRATION,
    CALIBRATION_BACKOFF,
    DAY,
    PURGE_PAUSE,
    REDELIVERY,
    TIME_ASKED_EVERY,
    Bot,
    calibrating,
    open_bot,
)
from config.settings import Settings
from core.clock import ManualClock, ShiftedClock, SystemClock
from core.engine.scripted import ScriptedEngine
from core.errors import ConfigError
from core.messages import ConversationKey, Label, Message, Person
from core.prompt import ChatMessage
from core.stages.mood import MoodReader
from core.store import Store, events, people, turns
from tests.core.engine.fake_server import FakeServer, chat_server

CHAT = "/v1/chat/completions"
NEWER = [f"newer {number}" for number in range(events.NEWEST)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@asynccontextmanager
async def opened(
    folder: Path,
    clock: ManualClock,
    keep_days: int = 0,
    *,
    shared: ShiftedClock | None = None,
    served: Collection[str] = (),
) -> AsyncIterator[Bot]:
    """A bot with an engine URL at which nobody listens. `shared` is the clock that its front ends would have too."""
    chosen = {"engine": {"url": "http://127.0.0.1:9/v1"}, "history": {"keep_days": keep_days}}
    settings = Settings.model_validate({"data_dir": folder, **chosen})
    async with open_bot(settings, shared or ShiftedClock(clock=clock), {}, served) as bot:
        yield bot


async def known(store: Store) -> int:
    return await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM events")) or 0)


async def until_looked(clock: ManualClock) -> None:
    """Wait until the bot sleeps for a day."""
    while DAY not in await clock.until_sleeping():
        await asyncio.sleep(0)


async def test_old_events_are_dropped_once_a_day(tmp_path: Path, clock: ManualClock) -> None:
    """Event keys that no platform can deliver again are deleted once a day; younger ones are kept."""
    async with opened(tmp_path, clock) as bot:
        await until_looked(clock)
        await bot.store.run(events.remember, ["old"], clock.now() - REDELIVERY - 1)
        await bot.store.run(events.remember, ["young"], clock.now() - REDELIVERY + DAY + 1)
        await bot.store.run(events.remember, NEWER, clock.now())
        clock.advance(DAY)
        await until_looked(clock)
        assert await known(bot.store) == 1 + len(NEWER)


async def test_turns_are_kept_for_the_days_of_the_setting(tmp_path: Path, clock: ManualClock) -> None:
    """With history.keep_days what is older is deleted at a start on the next day, in small steps; by default all is
    kept.
    """
    async with opened(tmp_path, clock) as bot:
        await bot.store.run(add_turns, 500, clock.now() - 3 * DAY)
        await until_looked(clock)
        assert await stored(bot.store) == 500
    clock.advance(DAY)
    async with opened(tmp_path, clock, keep_days=2) as bot:
        for left in (300, 100):
            while PURGE_PAUSE not in await clock.until_sleeping():
                await asyncio.sleep(0)
            assert await stored(bot.store) == left
            clock.advance(PURGE_PAUSE)
        while await stored(bot.store):
            await asyncio.sleep(0)


async def stored(store: Store) -> int:
    return await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns")) or 0)


def add_turns(connection: sa.Connection, many: int, accepted_at: float) -> None:
    person = Person(platform="test", workspace="w", id="ann")
    row = people.find_or_add(connection, person)
    place = ConversationKey(platform="test", workspace="w", chat="ann")
    message = Message(event_keys=(), conversation=place, sender=person, text="hello", sent_at=accepted_at)
    for _ in range(many):
        turns.add(connection, row.id, message, "en", accepted_at)
    connection.execute(sa.text("UPDATE turns SET state = 'delivered'"))


async def test_a_store_error_postpones_the_purge(tmp_path: Path, clock: ManualClock) -> None:
    """If the store fails, the purge is retried a day later and the bot keeps running."""
    async with opened(tmp_path, clock) as bot:
        await until_looked(clock)
        await bot.store.run(events.remember, ["old"], clock.now() - REDELIVERY - 1)
        await bot.store.run(events.remember, NEWER, clock.now())
        await bot.store.run(lambda c: c.exec_driver_sql("ALTER TABLE events RENAME TO gone"))
        with capture_logs() as logs:
            clock.advance(DAY)
            await until_looked(clock)
        assert [entry["event"] for entry in logs if entry["event"].startswith("old records")]
        await bot.store.run(lambda c: c.exec_driver_sql("ALTER TABLE gone RENAME TO events"))
        clock.advance(DAY)
        await until_looked(clock)
        assert await known(bot.store) == len(NEWER)


async def test_moods_are_calibrated_once_the_model_answers(tmp_path: Path, clock: ManualClock) -> None:
    """If the model is down at the start, the calibration is tried again; until then moods are read without it."""
    engine = ScriptedEngine.unavailable()
    moods = MoodReader(engine)
    async with calibrating([moods], tmp_path, clock):
        await clock.until_sleeping()
        assert not files(tmp_path)
        engine.available = True
        assert (await moods.read("hello", "en")).label is Label.NEUTRAL
        clock.advance(CALIBRATION_BACKOFF.pause(1))
        while not files(tmp_path):
            await asyncio.sleep(0)


async def test_a_calibration_in_progress_does_not_delay_the_end(tmp_path: Path, clock: ManualClock) -> None:
    """Leaving the context cancels the calibration."""
    async with calibrating([MoodReader(ScriptedEngine.unavailable())], tmp_path, clock):
        await clock.until_sleeping()
    assert not files(tmp_path)


async def test_a_restart_keeps_each_conversation_at_its_server(tmp_path: Path) -> None:
    """Of two servers the same one answers a user after a restart, with the same session id; another installation has
    another one.
    """
    prompt = (ChatMessage(role="user", content="Hi"),)
    async with recorded(ScriptedEngine.fixed("ok")) as one, recorded(ScriptedEngine.fixed("ok")) as other:
        for folder in ("here", "here", "there"):
            settings = Settings.model_validate({"data_dir": tmp_path / folder, "engine": {"url": [one.url, other.url]}})
            async with (
                open_bot(settings, ShiftedClock(clock=SystemClock()), {}, []) as bot,
                bot.engine.stream(prompt, max_tokens=9, user="ann") as pieces,
            ):
                assert [piece async for piece in pieces]
        sent = [
            (at, request.headers["x-session-id"])
            for at in (one, other)
            for request in at.server.asked(CHAT)
            if request.json().get("stream")
        ]
    (server, first), (same, again), (_, elsewhere) = sent
    assert (server, first) == (same, again)
    assert elsewhere != first


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A model server on loopback that keeps its requests."""

    url: str
    server: FakeServer


@asynccontextmanager
async def recorded(engine: ScriptedEngine) -> AsyncIterator[Recorded]:
    fake = FakeServer(socket_path=Path("unused"), answers=chat_server(engine))
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        yield Recorded(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", server=fake)
        server.close()
        await fake.settled()


def files(data_dir: Path) -> list[Path]:
    return list((data_dir / CALIBRATION).glob("*.json"))


async def test_gateways_of_a_server_have_its_time(
    tmp_path: Path, clock: ManualClock, empty_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is accepted has the time of the database's server, whatever this machine's clock says; it is asked again.
    The front ends, /admin and the web have that time too.
    """
    monkeypatch.setenv("PARLEY_STORE__URL", empty_postgresql)
    shared = ShiftedClock(clock=clock)
    async with opened(tmp_path, clock, shared=shared) as bot:
        place = ConversationKey(platform="console", workspace="local", chat="c")
        sender = Person(platform="console", workspace="local", id="ann")
        for number in range(2):
            said = Message(event_keys=(f"{number}",), conversation=place, sender=sender, text="hello", sent_at=2e9)
            await bot.admission.accept(said)
            clock.jump(1e6)
            while TIME_ASKED_EVERY not in await clock.until_sleeping():
                await asyncio.sleep(0)
            clock.advance(TIME_ASKED_EVERY)
            while TIME_ASKED_EVERY not in await clock.until_sleeping():
                await asyncio.sleep(0)
        query = sa.text("SELECT abs(accepted_at - extract(epoch FROM now())) FROM turns")
        assert [float(off) < 60 for off in await bot.store.read(lambda c: c.scalars(query).all())] == [True, True]
        assert abs(shared.now() - time.time()) < 60


async def test_gateways_of_a_server_have_a_data_folder_each(
    tmp_path: Path, clock: ManualClock, empty_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two with one folder are refused, since the files there are one process's; two with a folder each run."""
    monkeypatch.setenv("PARLEY_STORE__URL", empty_postgresql)
    async with opened(tmp_path / "a", clock, served=["test"]):
        with pytest.raises(ConfigError, match="test is served by another parley already"):
            async with opened(tmp_path / "a", clock, served=["test"]):
                pass
        async with opened(tmp_path / "b", clock, served=["test"]):
            pass


@pytest.mark.parametrize("is_shared", [False, True])
async def test_a_gateway_of_a_server_leaves_the_turns_of_others(
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    *,
    is_shared: bool,
) -> None:
    """Another one may be answering them. With a file, the lock says that the process that was has ended."""
    if is_shared:
        monkeypatch.setenv("PARLEY_STORE__URL", request.getfixturevalue("empty_postgresql"))
    async with opened(tmp_path, clock) as bot:
        await bot.store.run(add_turns, 1, clock.now())
        await bot.store.run(
            lambda c: c.execute(sa.text("UPDATE turns SET state = 'running', owner = 'other', lease_until = 9e9"))
        )
    async with opened(tmp_path, clock, served=["test"]) as bot:
        leases = await bot.store.read(lambda c: c.scalars(sa.text("SELECT lease_until FROM turns")).all())
    assert leases == [9e9 if is_shared else 0.0]
