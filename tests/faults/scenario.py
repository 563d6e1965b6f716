"""Random scenarios, derived from crash point and seed: who writes what, and where the gateways crash."""

import random
from dataclasses import dataclass, replace

from tests.faults.gateway import MAX_BYTES
from tests.faults.platform import Event

POINTS = (
    "received",
    "accept uncommitted",
    "accept committed",
    "acknowledged",
    "claim_waiting uncommitted",
    "claim_waiting committed",
    "before placeholder",
    "placeholder sent",
    "placeholder shown",
    "set_handle uncommitted",
    "set_handle committed",
    "find_or_add uncommitted",
    "mood asked",
    "tokens asked",
    "reply asked",
    "first piece",
    "third piece",
    "finish uncommitted",
    "finish committed",
    "edit sent",
    "edited",
    "mark_delivered uncommitted",
    "mark_delivered committed",
    "claim_answered uncommitted",
    "claim_answered committed",
)
INTAKE = {"received", "accept uncommitted", "accept committed", "acknowledged"}
"""Points of admission. Meanwhile a turn may be at any other point."""
WINDOW = {"placeholder sent", "placeholder shown", "set_handle uncommitted"}
"""Points between posting a placeholder and committing its id: a crash there may orphan it."""
PHRASES = ("how is the tea today", "今天的茶怎么样", "tell me a long story", "I lost my keys", "谢谢你", "what now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The events, the number of them sent before the first answer (`ahead`), the worker's slots, and the crashes as
    (point, hit), one for each gateway process.
    """

    events: tuple[Event, ...]
    ahead: int
    slots: int
    crashes: tuple[tuple[str, int], ...]

    @property
    def notices(self) -> int:
        return sum(len(event.text) > MAX_BYTES for event in self.events)


def scenario(point: str, seed: int) -> Scenario:
    """The scenario of a point and a seed. Seeds vary people, messages, order and repeats; with seed 3 the bot crashes
    twice, with seed 4 it answers three turns at once.
    """
    chance = random.Random(f"{point} {seed}")
    notices = chance.randint(1, 2) if point.startswith("claim_answered") or seed >= 3 else 0
    plain, people = chance.randint(3, 8 - notices), chance.randint(2, 4)
    events = [_event(chance, number, people) for number in range(plain)]
    events += [_too_long(chance, number, people) for number in range(notices)]
    chance.shuffle(events)
    crashes = [(point, chance.randint(1, notices if point.startswith("claim_answered") else plain))]
    if seed == 3:
        crashes.append((chance.choice(POINTS), chance.randint(1, 2)))
    slots, ahead = (3 if seed == 4 else 1), chance.choice((1, 3, 99))
    return Scenario(events=tuple(events), ahead=ahead, slots=slots, crashes=tuple(crashes))


def event(name: str, person: str, text: str, *, chat: str = "") -> Event:
    return Event(id=name, keys=(f"update {name}", f"message {name}"), person=person, chat=chat or person, text=text)


def _event(chance: random.Random, number: int, people: int) -> Event:
    name, person = f"e{number}", f"p{chance.randrange(people)}"
    made = event(name, person, f"{name} {chance.choice(PHRASES)}", chat=chance.choice((person, person, "room")))
    again = (f"message {name}", f"repeat {name}") if chance.random() < 0.3 else ()
    return replace(made, again=again)


def _too_long(chance: random.Random, number: int, people: int) -> Event:
    size = MAX_BYTES + 100 * number + chance.randint(1, 99)
    return event(f"{size}-bytes", f"p{chance.randrange(people)}", "x" * size)
