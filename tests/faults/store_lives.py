"""A process whose system calls are seen: it has calls fail during lives of a store, or loses its power during one."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from tests.faults import io_faults, power_loss
from tests.faults.fork_server import ForkServer

SHARDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a process judges: `count` cases of "io", or images of "power"; all cases if it is 0.

    `shard` of `shards` processes does its share. `without` names the guard that is switched off.
    """

    what: str
    folder: str
    count: int
    shard: int
    shards: int
    without: str

    @property
    def findings(self) -> Path:
        return Path(self.folder, "findings")


async def run(plan: Plan, _stop: asyncio.Event) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if plan.what == "io":
        lines = await io_faults.judge(Path(plan.folder), plan.count, plan.shard, plan.shards)
    else:
        lines = await power_loss.judge(Path(plan.folder), plan.count // plan.shards, plan.shard, plan.without)
    _write(lines, plan.findings)


def _write(lines: Sequence[str], findings: Path) -> None:
    findings.write_text("\n".join(lines))


def _share(folder: Path, shard: int, what: str, count: int, without: str) -> Plan:
    """The plan of one process, and its folder."""
    own = folder / f"share {shard}"
    (own / "life").mkdir(parents=True)
    return Plan(what=what, folder=str(own), count=count, shard=shard, shards=SHARDS, without=without)


async def found(server: ForkServer, folder: Path, *, what: str, count: int, without: str = "") -> list[list[Any]]:
    """What each of some processes has found."""
    shares, log = [_share(folder, shard, what, count, without) for shard in range(SHARDS)], folder / "log"
    for process in [await server.start(share, log) for share in shares]:
        assert await server.wait(process) == 0, log.read_text()
    return [_read(share.findings) for share in shares]


def _read(findings: Path) -> list[Any]:
    return [json.loads(line) for line in findings.read_text().splitlines()]
