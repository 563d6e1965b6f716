"""What a message costs, from runs whose replies differ in length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.fleet.measure import Observed
from benchmarks.simulation import database as verbs
from benchmarks.simulation.world import Costs, World

ONCE: Final = (
    verbs.FIND_KEY,
    verbs.ACCEPT,
    verbs.TRANSCRIPT,
    verbs.CLAIM,
    verbs.PREFERENCES,
    verbs.HISTORY,
    verbs.FINISH,
    verbs.CHANGED,
    verbs.DELIVERED,
)
"""The transactions of each message. All others look for work in vain."""
LOOK: Final = (verbs.CLAIM_NOTHING.trips + verbs.DELIVER_NOTHING.trips + 2 * verbs.NEXT_DUE.trips) / 4
"""Trips of a transaction that looks for work, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A real run of a world."""

    world: World
    observed: Observed

    @property
    def tokens(self) -> int:
        """Tokens of each reply."""
        (tokens,) = self.world.people.replies
        return tokens

    @property
    def trips(self) -> float:
        """Trips to the database for each answer."""
        return sum(verb.trips for verb in ONCE) + (self.observed.transactions - len(ONCE)) * LOOK


def costs_of(runs: Sequence[Run], *, gateway_trip: float, commit: float) -> Costs:
    """The costs by which the runs used what they used, as closely as possible. Two runs at least must differ in the
    length of their replies. `gateway_trip` and `commit` were measured alone.
    """
    trips = np.array([run.trips for run in runs])
    used = {role: np.array([run.observed.used[role] for run in runs]) for role in runs[0].observed.used}
    gateway = _line(runs, used["gateway"] - trips * gateway_trip)
    client, server = _line(runs, used["client"]), _line(runs, used["server"])
    return Costs(
        gateway_message=gateway[0],
        gateway_piece=gateway[1],
        gateway_trip=gateway_trip,
        database_trip=float(np.median(used["database"] / trips)),
        client_message=client[0],
        client_piece=client[1],
        server_message=server[0],
        server_piece=server[1],
        commit=commit,
    )


def _line(runs: Sequence[Run], seconds: np.ndarray) -> tuple[float, float]:
    """Seconds of a message without pieces and of each piece, neither below 0."""
    tokens = np.array([run.tokens for run in runs])
    slope, start = np.polyfit(tokens, seconds, 1)
    return max(0.0, float(start)), max(0.0, float(slope))
