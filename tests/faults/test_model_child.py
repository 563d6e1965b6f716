"""kill -9 of the model server at every crash point: it restarts, and every message is answered once."""

import os
import random
import signal
from pathlib import Path

import pytest

from tests.core.inference.tiny import write_tiny_model
from tests.faults.crash_points import TWO_REPLIES
from tests.faults.fork_server import ForkServer
from tests.faults.harness import FAKE_MODEL_SERVER, Harness, open_harness
from tests.faults.platform import Event
from tests.faults.scenario import event

TWICE = "reply asked, and again on the retry"
IDLE = "idle"
ONCE = {"child started", "first piece", "third piece", TWO_REPLIES}
POINTS = (
    "child started",
    "mood asked",
    "tokens asked",
    "reply asked",
    "first piece",
    "third piece",
    "finish committed",
    "mark_delivered committed",
    TWO_REPLIES,
    TWICE,
    IDLE,
)
QUICK = ("third piece", TWO_REPLIES, TWICE)
OTHERS = tuple(point for point in POINTS if point not in QUICK)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model"), max_length=4096))


def messages(chance: random.Random) -> tuple[Event, ...]:
    """Three to six messages; the first two are from different people."""
    return tuple(event(f"e{n}", f"p{n % chance.randint(2, 3)}", f"e{n} hello") for n in range(chance.randint(3, 6)))


async def kill_model_child(harness: Harness, point: str, chance: random.Random, **engine: object) -> None:
    """Run a gateway until all messages are answered, and kill its model child at the point."""
    hits = (2, 3) if point == TWICE else (1,) if point in ONCE else (chance.randint(1, 3),)
    at = {TWICE: "reply asked", IDLE: ""}.get(point, point)
    plan = harness.plan(
        point=at, hits=hits, victim="child", engine="child", slots=2 if point == TWO_REPLIES else 1, **engine
    )
    if point != IDLE:
        await harness.run_until_answered(plan)
        return
    pid = await harness.start(plan)
    await harness.platform.until_answered(1)
    os.kill(child_of(pid), signal.SIGKILL)
    harness.platform.add(event("late", "p0", "late hello"))
    await harness.platform.until_answered(1)
    os.kill(pid, signal.SIGTERM)
    assert await harness.wait(pid) == 0


def child_of(pid: int) -> int:
    (child,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return child


async def check(harness: Harness, events: tuple[Event, ...], point: str) -> None:
    verdict = await harness.verdict((*events, event("late", "p0", "late hello")) if point == IDLE else events)
    assert verdict.good, verdict
    assert not verdict.orphans
    assert len(verdict.apologies) == (point == TWICE), verdict
    assert "model server ended" in harness.log.read_text()


@pytest.mark.parametrize("point", [*QUICK, *(pytest.param(point, marks=pytest.mark.long) for point in OTHERS)])
async def test_fake_model_server_is_killed(fork_server: ForkServer, tmp_path: Path, point: str) -> None:
    """A turn survives one crash of the model server and gets an apology after a second one."""
    chance = random.Random(point)
    events = messages(chance)
    async with open_harness(fork_server, tmp_path, events) as harness:
        model = "pauses" if point in {"first piece", "third piece", TWO_REPLIES} else "steady"
        await kill_model_child(harness, point, chance, command=FAKE_MODEL_SERVER, model=model, data_dir=str(tmp_path))
        await check(harness, events, point)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("point", POINTS)
async def test_real_model_is_killed(
    fork_server: ForkServer, tmp_path: Path, tiny_model: str, point: str, seed: int
) -> None:
    """The same holds with the real server and a tiny model."""
    chance = random.Random(f"{point} {seed}")
    events = messages(chance)
    async with open_harness(fork_server, tmp_path, events) as harness:
        await kill_model_child(harness, point, chance, model=tiny_model, data_dir=str(tmp_path))
        await check(harness, events, point)


async def test_message_that_kills_the_model_fails_alone(fork_server: ForkServer, tmp_path: Path) -> None:
    """Only the message that kills the model gets an apology; replies lost in the same crash are retried."""
    events = tuple(event(f"e{n}", f"p{n}", f"e{n} {'poison' if n == 1 else 'hello'}") for n in range(5))
    async with open_harness(fork_server, tmp_path, events) as harness:
        await harness.run_until_answered(
            harness.plan(engine="child", command=FAKE_MODEL_SERVER, model="pauses", data_dir=str(tmp_path), slots=5)
        )
        verdict = await harness.verdict(events)
        assert verdict.good, verdict
        assert verdict.apologies == ["e1"]
