"""How far a fleet goes: `python -m benchmarks.simulation COSTS SPEED`, two files that `benchmarks.fleet` measures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.simulation.pages import chart, limits_table, table
from benchmarks.simulation.run import Result, simulate
from benchmarks.simulation.world import Costs, People, Speed, World

REPLIES: Final = (16, 32, 48, 64, 96, 128)
SERVERS: Final = (1, 4, 8, 16, 24, 32, 48, 64)
GATEWAYS: Final = (1, 2, 4, 8)
MANY_GATEWAYS: Final = (2, 8, 16, 32)
CROWD: Final = 40
"""People without a pause for each gateway, which keep it busy."""
LATE: Final = 10.0
"""Seconds within which 95 of 100 answers should be there."""
NETWORK: Final = 0.0002
"""Seconds of a round trip between machines of one data centre."""
HOUR: Final = 3_600.0
WARM_UP, SECONDS = 60.0, 120.0
SLOW_DISK: Final = 0.002
"""Seconds of a commit on an ordinary SSD."""
AT_ONCE: Final = Speed(step=0.001, slots=256)
"""A model on which nobody waits, so that the rest is the limit."""


def main(
    costs: Annotated[Path, typer.Argument(help="What a message costs, by `python -m benchmarks.fleet validate`.")],
    speed: Annotated[Path, typer.Argument(help="A model server's speed, by `python -m benchmarks.fleet.speeds`.")],
    *,
    people: Annotated[int, typer.Option(help="People who write.")] = 10_000,
    hourly: Annotated[float, typer.Option(help="Messages that each of them writes in an hour.")] = 6.0,
    history: Annotated[int, typer.Option(help="Tokens of a conversation that are read with each message.")] = 400,
    plot: Annotated[Path | None, typer.Option(help="File for a chart of the waiting times.")] = None,
) -> None:
    """Print how long people wait by model servers and gateways, and what limits the messages per second."""
    own = Costs(**json.loads(costs.read_text("utf-8")))
    world = World(
        gateways=2,
        servers=1,
        people=People(number=people, pause=HOUR / hourly, replies=REPLIES, history=history, programs=64),
        speed=Speed(**json.loads(speed.read_text("utf-8"))),
        costs=replace(own, network=NETWORK, client_message=0.0, client_piece=0.0, server_message=0.0, server_piece=0.0),
        pieces_together=16,
    )
    with ProcessPoolExecutor() as pool:
        by_servers = dict(zip(SERVERS, pool.map(_run, _with_servers(world)), strict=True))
        enough = next((count for count, result in by_servers.items() if result.whole(0.95) < LATE), SERVERS[-1])
        worlds = [replace(world, servers=enough, gateways=count) for count in GATEWAYS]
        by_gateways = dict(zip(GATEWAYS, pool.map(_run, worlds), strict=True))
        limits = {name: tuple(pool.map(_limit, worlds)) for name, worlds in _limited(world).items()}
    print(table(f"model servers, with {world.gateways} gateways", by_servers))
    print(table(f"gateways, with {enough} model servers", by_gateways))
    print(limits_table(MANY_GATEWAYS, limits))
    if plot:
        plot.write_text(chart(f"{people:,} people, {hourly:g} messages an hour each", by_servers, late=LATE), "utf-8")


def _with_servers(world: World) -> Iterator[World]:
    return (replace(world, servers=count) for count in SERVERS)


def _run(world: World) -> Result:
    return simulate(world, SECONDS, warm_up=WARM_UP)


def _limit(world: World) -> Result:
    return simulate(world, 12.0, warm_up=10.0)


def _limited(world: World) -> Mapping[str, Sequence[World]]:
    """Worlds with a crowd that never pauses and a model on which nobody waits, for each number of gateways."""
    base = replace(
        world,
        servers=1,
        speed=AT_ONCE,
        max_batch=64,
        people=replace(world.people, pause=0.0, history=0, replies=(64,)),
    )
    kinds = {
        "as it is": base,
        "a disk that takes 2 ms": replace(base, costs=replace(base.costs, commit=SLOW_DISK)),
        "the same, no notices": replace(base, costs=replace(base.costs, commit=SLOW_DISK), notices=False),
        "a database of 8 cores": replace(base, database_cores=8),
        "one key for all": replace(base, people=replace(base.people, programs=1)),
        "1 of 100 messages needs a transaction alone, of 20 ms": replace(base, alone_every=100, alone=0.02),
    }
    return {name: [_crowded(kind, count) for count in MANY_GATEWAYS] for name, kind in kinds.items()}


def _crowded(world: World, gateways: int) -> World:
    return replace(world, gateways=gateways, people=replace(world.people, number=CROWD * gateways))


if __name__ == "__main__":
    typer.run(main)
