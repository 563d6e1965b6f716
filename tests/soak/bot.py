"""The bot under test: `parley run` with the embedded model on both fake platforms, and what its processes take."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from benchmarks.processes import ROOT, clean_environment
from tests.fakes.slack.client import FakeSlack
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN
from tests.fakes.telegram.control import Account
from tests.soak.measures import Sample, model_child

NO_LIMITS = {"PER_MINUTE": "6000", "BURST": "1000", "MAX_QUEUED": "1000", "MAX_WAIT": "100000"}
"""Nobody is refused, so each message has a turn."""


@dataclass(slots=True, kw_only=True)
class Bot:
    """`lives` are the samples of each process by its id, of the gateways and of their model servers.

    `kills` counts the deaths of gateways, and `codes` are the exit codes of those that were asked to end.
    """

    folder: Path
    settings: Mapping[str, str]
    lives: dict[str, dict[int, list[Sample]]] = field(default_factory=lambda: {"gateway": {}, "model": {}})
    kills: int = 0
    codes: list[int] = field(default_factory=list)
    most_wal: int = 0
    _process: asyncio.subprocess.Process | None = None

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder}/data/parley.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it says that it is on."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bots", "run"),
                cwd=ROOT,
                env={**clean_environment(), **self.settings, "PARLEY_DATA_DIR": str(self.folder / "data")},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        await self._process.stdout.readline()

    async def end(self, number: signal.Signals) -> None:
        """Kill the gateway, or ask it to end and wait for that."""
        assert self._process is not None
        self._process.send_signal(number)
        code = await self._process.wait()
        if number is signal.SIGKILL:
            self.kills += 1
        else:
            self.codes.append(code)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill it if it still runs, because the test has failed."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def kill_model(self) -> None:
        if child := model_child(self.pid):
            os.kill(child, signal.SIGKILL)

    @property
    def most_memory(self) -> Mapping[str, int]:
        """The most memory that a process of each role has taken."""
        return {
            role: max(one.memory for samples in lives.values() for one in samples) for role, lives in self.lives.items()
        }

    async def sample(self) -> None:
        """Note what its processes and its store's write-ahead log take now."""
        wal = self.folder / "data" / "parley.db-wal"
        self.most_wal = max(self.most_wal, wal.stat().st_size if wal.exists() else 0)
        now = time.monotonic()
        for role, pid in (("gateway", self.pid), ("model", model_child(self.pid))):
            if pid and (taken := Sample.of(pid, now)):
                self.lives[role].setdefault(pid, []).append(taken)


def settings_for(telegram: Account, slack: FakeSlack) -> dict[str, str]:
    """The environment of a bot on both platforms. Its caches are small, so that they are full after the warm-up."""
    return {
        "PARLEY_TELEGRAM__TOKEN": telegram.token,
        "PARLEY_TELEGRAM__BASE_URL": telegram.base_url,
        "PARLEY_SLACK__BOT_TOKEN": BOT_TOKEN,
        "PARLEY_SLACK__APP_TOKEN": APP_TOKEN,
        "PARLEY_SLACK__BASE_URL": f"{slack.url}/api",
        "PARLEY_WEB__PORT": "0",
        "PARLEY_ACCESS__ALLOW": "telegram:*,slack:*",
        "PARLEY_CHAT__MAX_REPLY_TOKENS": "60",
        "PARLEY_ENGINE__CACHE_BYTES": str(16 << 20),
        "PARLEY_CACHE__SIZE": "64",
    } | {f"PARLEY_LIMITS__{name}": value for name, value in NO_LIMITS.items()}
