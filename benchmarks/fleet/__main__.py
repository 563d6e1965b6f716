"""Real runs of several gateways: `python -m benchmarks.fleet COMMAND`. It needs PostgreSQL, whose URL is `--server`.

All processes run on this machine, with model servers that take time and no processor.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.fleet.calibration import Run, costs_of
from benchmarks.fleet.comparison import HEAD, Comparison
from benchmarks.fleet.database import commit_seconds, new_database, trip_seconds
from benchmarks.fleet.measure import Observed, observe
from benchmarks.machine import describe_machine
from benchmarks.simulation.run import simulate
from benchmarks.simulation.world import Costs, People, Speed, World
from benchmarks.spread import spread

SERVER: Final = "postgresql+psycopg://127.0.0.1/postgres"
WARM_UP: Final = 8.0
PROGRAMS: Final = 32
"""Keys: messages of one key are accepted one after the other."""
PEOPLE: Final = People(number=20, pause=4.0, replies=(20,), programs=PROGRAMS)
PEOPLE_WAIT: Final = Speed(step=0.04, row=0.004, prompt_token=0.0005)
NOBODY_WAITS: Final = Speed(step=0.001, prompt_token=0.0001, slots=16)
A_SECOND: Final = Speed(step=0.045, slots=16)
"""A model that takes a second for each reply, however many it writes."""
ONE: Final = World(
    gateways=1, servers=1, people=PEOPLE, speed=PEOPLE_WAIT, costs=Costs(), cores=len(os.sched_getaffinity(0))
)
TWO: Final = replace(ONE, gateways=2, servers=2)
LENGTHS: Final = (5, 40)
"""Tokens of the replies in the runs that say what a message costs."""
COMPARED: Final[Mapping[str, World]] = {
    "1 x 1, moderate": ONE,
    "2 x 2, moderate": replace(TWO, people=replace(PEOPLE, number=40)),
    "2 x 2, the model is saturated": replace(TWO, people=replace(PEOPLE, number=48, pause=0.0)),
    "2 x 2, the processor is saturated": replace(
        TWO, people=replace(PEOPLE, number=48, pause=0.0), speed=NOBODY_WAITS, max_batch=16
    ),
}
CROWD: Final = replace(PEOPLE, number=48, pause=0.0)
BOUND: Final[Mapping[str, World]] = {
    "slots and the model's latency": replace(ONE, people=CROWD, speed=A_SECOND),
    "the processor": replace(ONE, people=CROWD, speed=NOBODY_WAITS, max_batch=16),
}

app = typer.Typer()
ServerOption = Annotated[str, typer.Option(help="URL of a PostgreSQL server in which databases may be made.")]
SecondsOption = Annotated[float, typer.Option(help="Seconds of each run, after its warm-up.")]
RoundsOption = Annotated[int, typer.Option(min=1, help="Runs of each kind, of which the median counts.")]


@app.command()
def validate(
    costs: Annotated[Path, typer.Argument(help="File for the costs that are found.")],
    server: ServerOption = SERVER,
    seconds: SecondsOption = 20.0,
    rounds: RoundsOption = 3,
) -> None:
    """Find the costs with one gateway and one model server, and compare two of each with their simulation."""
    found = asyncio.run(_validate(server, seconds, rounds))
    costs.write_text(json.dumps(asdict(found), indent=1) + "\n")


@app.command()
def gateways(server: ServerOption = SERVER, seconds: SecondsOption = 20.0, rounds: RoundsOption = 3) -> None:
    """Compare the messages per second of two gateways with those of one, which take turns."""
    asyncio.run(_gateways(server, seconds, rounds))


async def _validate(server: str, seconds: float, rounds: int) -> Costs:
    costs = await _calibrated(server, seconds, rounds)
    shown = ", ".join(f"{name} {1000 * cost:.3f}" for name, cost in asdict(costs).items())
    print(f"{_machine()}\n\nms: {shown}\n\n{HEAD}")
    for name, world in COMPARED.items():
        real = [await observe(world, server, seconds=seconds, warm_up=WARM_UP) for _ in range(rounds)]
        simulated = simulate(replace(world, costs=costs), 4 * seconds, warm_up=WARM_UP)
        print(Comparison(name=name, real=real, simulated=simulated).rows(), flush=True)
    return costs


async def _calibrated(server: str, seconds: float, rounds: int) -> Costs:
    with new_database(server) as url:
        trip, commit = await trip_seconds(url), commit_seconds(url)
    runs = []
    for tokens in LENGTHS * rounds:
        world = replace(ONE, people=replace(PEOPLE, replies=(tokens,)))
        runs.append(Run(world=world, observed=await observe(world, server, seconds=seconds, warm_up=WARM_UP)))
        print(f"{tokens} tokens: {_used(runs[-1].observed)}", file=sys.stderr)
    return costs_of(runs, gateway_trip=trip, commit=commit)


async def _gateways(server: str, seconds: float, rounds: int) -> None:
    print(f"{_machine()}\n\n| what binds | one gateway, messages/s | two | ratio |\n|---|---|---|---|")
    for name, world in BOUND.items():
        rates = []
        for _ in range(rounds):
            worlds = [replace(world, gateways=count) for count in (1, 2)]
            runs = [await observe(each, server, seconds=seconds, warm_up=WARM_UP) for each in worlds]
            print(f"{name}: {[_used(run) for run in runs]}", file=sys.stderr)
            rates.append([run.rate for run in runs])
        one, two = (spread([pair[number] for pair in rates]).show(1) for number in (0, 1))
        ratio = spread([two / one for one, two in rates]).show(2)
        print(f"| {name} | {one} | {two} | **{ratio}** |", flush=True)


def _used(run: Observed) -> str:
    used = ", ".join(f"{role} {1000 * seconds:.1f} ms" for role, seconds in run.used.items())
    return f"{run.rate:.2f} messages/s, each {used}, {run.transactions:.1f} transactions; {run.faults} faults"


def _machine() -> str:
    return f"{describe_machine()}; load average before {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    app()
