"""Costs are found again in what they cause."""

from dataclasses import replace

import pytest

from benchmarks.fleet.calibration import LOOK, ONCE, Run, costs_of
from benchmarks.fleet.measure import Observed
from benchmarks.simulation.run import Seen
from benchmarks.simulation.world import Costs, People, Speed, World

WORLD = World(gateways=1, servers=1, people=People(number=1, pause=1.0), speed=Speed(step=0.01), costs=Costs())
TRUE = Costs(
    gateway_message=0.03,
    gateway_piece=0.0004,
    gateway_trip=0.0003,
    database_trip=0.0001,
    client_message=0.002,
    client_piece=0.0001,
    server_message=0.004,
    server_piece=0.0002,
    commit=0.002,
)


def run(tokens: int, transactions: float) -> Run:
    """What a run would use with the true costs."""
    trips = sum(verb.trips for verb in ONCE) + (transactions - len(ONCE)) * LOOK
    used = {
        "gateway": TRUE.gateway_message + tokens * TRUE.gateway_piece + trips * TRUE.gateway_trip,
        "database": trips * TRUE.database_trip,
        "client": TRUE.client_message + tokens * TRUE.client_piece,
        "server": TRUE.server_message + tokens * TRUE.server_piece,
    }
    observed = Observed(seconds=10.0, seen=Seen(), used=used, transactions=transactions, faults=0)
    return Run(world=replace(WORLD, people=replace(WORLD.people, replies=(tokens,))), observed=observed)


def test_costs_are_those_of_the_runs() -> None:
    """Runs with replies of two lengths, and different numbers of looks for work, tell all costs."""
    found = costs_of([run(5, 17.0), run(40, 20.0)], gateway_trip=TRUE.gateway_trip, commit=TRUE.commit)
    assert vars_of(found) == pytest.approx(vars_of(TRUE))


def test_no_cost_is_negative() -> None:
    """Noise in runs that differ little makes no cost that is below nothing."""
    first, second = run(5, 17.0), run(40, 17.0)
    quicker = replace(second, observed=replace(second.observed, used=dict.fromkeys(second.observed.used, 0.0)))
    found = costs_of([first, quicker], gateway_trip=TRUE.gateway_trip, commit=TRUE.commit)
    assert min(vars_of(found)) >= 0


def vars_of(costs: Costs) -> list[float]:
    return [getattr(costs, name) for name in Costs.__slots__]
