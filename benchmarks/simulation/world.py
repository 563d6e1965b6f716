"""What the model is told: who writes, what runs where, and what everything takes. Times are in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a message takes beside the model: seconds of one core, unless they are said to pass.

    A `trip` is a statement that is sent to the database, and its answer; `network` passes with each. `commit` passes
    until the write-ahead log is on the disk. The client is who writes, and the server the model server without its
    model.
    """

    gateway_message: float = 0.0
    gateway_piece: float = 0.0
    gateway_trip: float = 0.0
    database_trip: float = 0.0
    client_message: float = 0.0
    client_piece: float = 0.0
    server_message: float = 0.0
    server_piece: float = 0.0
    commit: float = 0.0
    network: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """A model server, which decodes `slots` rows at once. A step takes `step` for its first row and `row` for each
    further one; each token of a prompt takes `prompt_token`, of at most `chunk` in a step. The prefix cache holds
    `cache` tokens.
    """

    step: float
    row: float = 0.0
    prompt_token: float = 0.0
    slots: int = 8
    chunk: int = 128
    cache: int = 0

    def seconds(self, rows: int, read: int) -> float:
        """Seconds of a step that decodes some rows and reads some tokens of prompts."""
        return (self.step + (rows - 1) * self.row if rows else 0.0) + read * self.prompt_token


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Each of the `number` writes a message, reads the answer and writes the next one, on average `pause` after it.

    The pause is exponential, so that many people are a Poisson process. A reply has one of the lengths in `replies`, by
    chance. All in tokens: a `question`, and the `history` before it. A mood is read of each question if `moods` is set.
    They write for `programs` with a key each, or on the page if that is 0.
    """

    number: int
    pause: float
    replies: Sequence[int] = (64,)
    question: int = 20
    history: int = 0
    moods: bool = True
    programs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A fleet and its people. Each gateway has `max_batch` turns answered at once for each server.

    If `cores` is set, all run on one machine of so many; otherwise each gateway has a core of its own, and the database
    has `database_cores`. One message in `alone_every` needs a transaction that runs alone for `alone` seconds. To
    simulate faster, so many `pieces_together` of a reply are sent at once, after the first. Without `notices` gateways
    would tell each other nothing.
    """

    gateways: int
    servers: int
    people: People
    speed: Speed
    costs: Costs
    max_batch: int = 8
    cores: int | None = None
    database_cores: int = 2
    alone_every: float = NEVER
    alone: float = 0.0
    pieces_together: int = 1
    notices: bool = True

    @property
    def slots(self) -> int:
        """Turns that one gateway answers at once, as `config.options.slots` says."""
        return self.max_batch * self.servers
