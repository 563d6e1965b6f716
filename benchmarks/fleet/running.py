"""Starts gateways and paced model servers, and reads what their processes take."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.fleet.database import backends, new_database
from benchmarks.machine import processor_seconds
from benchmarks.processes import ROOT, clean_environment
from benchmarks.servers import free_port
from benchmarks.simulation.world import World
from core.keys import Scope, add_key
from core.store import open_store
from core.tokens import ENTROPY_BYTES
from tests.soak.bot import NO_LIMITS

KEY_LIMITS: Final = {"KEY_PER_MINUTE": "1000000", "KEY_BURST": "100000", "KEY_MAX_QUEUED": "100000"}
PER_MINUTE: Final = {"PER_MINUTE": "1000000", "BURST": "100000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A running fleet: the addresses of its gateways, keys for them, its database, and the ids of its processes."""

    gateways: Sequence[str]
    keys: Sequence[str]
    database: str
    gateway_pids: Sequence[int]
    server_pids: Sequence[int]

    def used(self) -> Mapping[str, float]:
        """Seconds of the processor that each role has used so far. The client is this process."""
        pids = {"gateway": self.gateway_pids, "server": self.server_pids, "database": backends(self.database)}
        return {role: sum(map(processor_seconds, own)) for role, own in pids.items()} | {"client": time.process_time()}


@asynccontextmanager
async def fleet(world: World, server: str) -> AsyncIterator[Fleet]:
    """A fleet as in a world, with a new database of a PostgreSQL server at a URL. All replies are of one length."""
    (tokens,) = world.people.replies
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        database = stack.enter_context(new_database(server))
        keys = await _make_keys(database, world.people.programs)
        paced = [
            *("benchmarks.fleet.paced", json.dumps(asdict(world.speed))),
            *(str(tokens), str(world.people.question)),
        ]
        servers = [await stack.enter_async_context(_process(paced, {}, folder / "log")) for _ in range(world.servers)]
        urls = [(await _line(each)).strip() for each in servers]
        gateways, addresses = [], []
        for number in range(world.gateways):
            port = free_port()
            own = {
                "PARLEY_DATA_DIR": str(folder / f"{number}"),
                "PARLEY_WEB__PORT": str(port),
                "PARLEY_WEB__API": "true",
                "PARLEY_STORE__URL": database,
                "PARLEY_ENGINE__URL": ",".join(urls),
                "PARLEY_ENGINE__MAX_BATCH": str(world.max_batch),
                "PARLEY_LOG_LEVEL": "warning",
            } | {f"PARLEY_LIMITS__{name}": value for name, value in (NO_LIMITS | KEY_LIMITS | PER_MINUTE).items()}
            gateways.append(
                await stack.enter_async_context(_process(["bots", "run"], own, ROOT / ".cache" / f"fleet-{number}.log"))
            )
            await _line(gateways[-1])
            addresses.append(f"http://127.0.0.1:{port}")
        yield Fleet(
            gateways=addresses,
            keys=keys,
            database=database,
            gateway_pids=[each.pid for each in gateways],
            server_pids=[each.pid for each in servers],
        )


async def _make_keys(database: str, count: int) -> list[str]:
    async with open_store(database) as store:
        return [
            await store.run(add_key, f"p{number}", [Scope.CHAT], secrets.token_bytes(ENTROPY_BYTES), time.time())
            for number in range(count)
        ]


@asynccontextmanager
async def _process(
    arguments: Iterable[str], settings: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    log.parent.mkdir(exist_ok=True, parents=True)
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            cwd=ROOT,
            env={**clean_environment(), **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()
