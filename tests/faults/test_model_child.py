"""kill -9 of the model's process, at any moment: it comes back, and every message is answered once."""

import os
import random
import signal
from pathlib import Path

import pytest

from tests.core.inference.tiny import write_tiny_model
from tests.faults.fuse import PAIR
from tests.faults.nursery import Nursery
from tests.faults.platform import Event
from tests.faults.rig import STAND_IN, Rig, open_rig
from tests.faults.scenario import event

TWICE = "reply asked, and again at the second try"
IDLE = "idle"
ONCE = {"child started", "first piece", "third piece", PAIR}
POINTS = (
    "child started",
    "mood asked",
    "tokens asked",
    "reply asked",
    "first piece",
    "third piece",
    "finish committed",
    "mark_delivered committed",
    PAIR,
    TWICE,
    IDLE,
)
QUICK = ("third piece", PAIR, TWICE)
OTHERS = tuple(point for point in POINTS if point not in QUICK)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model"), max_length=4096))


def messages(chance: random.Random) -> tuple[Event, ...]:
    """Three to six, the first two of different people."""
    return tuple(event(f"e{n}", f"p{n % chance.randint(2, 3)}", f"e{n} hello") for n in range(chance.randint(3, 6)))


async def strike(rig: Rig, point: str, chance: random.Random, **engine: object) -> None:
    """Let a gateway answer all messages, with its model child killed on the way."""
    passings = (2, 3) if point == TWICE else (1,) if point in ONCE else (chance.randint(1, 3),)
    at = "reply asked" if point == TWICE else point
    plan = rig.plan(
        point=at, passings=passings, victim="child", engine="child", slots=2 if point == PAIR else 1, **engine
    )
    if point != IDLE:
        await rig.until_settled(plan)
        return
    pid = await rig.start(plan)
    await rig.platform.until_answered(1)
    os.kill(child_of(pid), signal.SIGKILL)
    rig.platform.add(event("late", "p0", "late hello"))
    await rig.platform.until_answered(1)
    os.kill(pid, signal.SIGTERM)
    assert await rig.wait(pid) == 0


def child_of(pid: int) -> int:
    (child,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return child


async def check(rig: Rig, events: tuple[Event, ...], point: str) -> None:
    verdict = await rig.verdict((*events, event("late", "p0", "late hello")) if point == IDLE else events)
    assert verdict.good, verdict
    assert not verdict.orphans
    assert len(verdict.apologies) == (point == TWICE), verdict
    assert "model server ended" in rig.log.read_text()


@pytest.mark.parametrize("point", [*QUICK, *(pytest.param(point, marks=pytest.mark.long) for point in OTHERS)])
async def test_stand_in_is_killed(nursery: Nursery, tmp_path: Path, point: str) -> None:
    """One death costs time and no answer; a second one during the same turn costs that turn an apology."""
    chance = random.Random(point)
    events = messages(chance)
    async with open_rig(nursery, tmp_path, events) as rig:
        model = "pauses" if point in {"first piece", "third piece", PAIR} else "steady"
        await strike(rig, point, chance, command=STAND_IN, model=model, data_dir=str(tmp_path))
        await check(rig, events, point)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("point", POINTS)
async def test_real_model_is_killed(nursery: Nursery, tmp_path: Path, tiny_model: str, point: str, seed: int) -> None:
    """The same with the real server and a real, if tiny, model."""
    chance = random.Random(f"{point} {seed}")
    events = messages(chance)
    async with open_rig(nursery, tmp_path, events) as rig:
        await strike(rig, point, chance, model=tiny_model, data_dir=str(tmp_path))
        await check(rig, events, point)


async def test_message_that_kills_the_model_takes_nobody_with_it(nursery: Nursery, tmp_path: Path) -> None:
    """Poison for the model gets the apology; those whose replies were lost beside it are answered."""
    events = tuple(event(f"e{n}", f"p{n}", f"e{n} {'poison' if n == 1 else 'hello'}") for n in range(5))
    async with open_rig(nursery, tmp_path, events) as rig:
        await rig.until_settled(
            rig.plan(engine="child", command=STAND_IN, model="pauses", data_dir=str(tmp_path), slots=5)
        )
        verdict = await rig.verdict(events)
        assert verdict.good, verdict
        assert verdict.apologies == ["e1"]
