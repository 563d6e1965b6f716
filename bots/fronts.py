"""The interface of a platform's front end, as `parley run` uses it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import BaseRoute

from core.admission import Admission
from core.commands import COMMANDS, Command
from core.delivery import Delivery
from core.messages import Locale


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a platform is connected. `heard_at` is the monotonic time of its latest answer, None before the first.

    `skipped` counts the updates that could not be understood. `standing_by` says that another gateway fetches messages,
    and that this one will if that one ends.
    """

    connected: bool
    heard_at: float | None
    skipped: int = 0
    standing_by: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What a front end shows of the bot before a person writes: its persona's name, the commands of its menu, and first
    questions to ask, in each language.
    """

    name: str = "Parley"
    menu: Sequence[Command] = COMMANDS
    questions: Mapping[Locale, Sequence[str]] = field(default_factory=dict)


DEFAULT_WELCOME = Welcome()


class FrontEnd(Protocol):
    """One platform: messages come in through `run` and `routes`, and go out through `deliveries`.

    `deliveries` holds a Delivery for each `ConversationKey.front` that is served. It may grow while the front end runs,
    since a bot may learn its account only from the platform.
    """

    @property
    def platform(self) -> str: ...

    @property
    def deliveries(self) -> Mapping[str, Delivery]: ...

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        """The HTTP routes that the platform calls; none if the bot fetches its messages."""

    async def run(self, admission: Admission) -> None:
        """Take messages in until cancelled. Failures of the platform are retried. Raises ConfigError if it refuses a
        setting, such as a token that was revoked; then `health` says that it is not connected.
        """

    def health(self) -> Health: ...

    async def who(self) -> str:
        """The bot's name on the platform, asked once. Raises ConfigError with the setting at fault."""


class Deliveries(Mapping[str, Delivery]):
    """The deliveries of several front ends as one mapping, which grows as theirs do."""

    def __init__(self, fronts: Sequence[FrontEnd]) -> None:
        self._fronts = fronts

    def __getitem__(self, name: str) -> Delivery:
        for front in self._fronts:
            if delivery := front.deliveries.get(name):
                return delivery
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        for front in self._fronts:
            yield from front.deliveries

    def __len__(self) -> int:
        return sum(len(front.deliveries) for front in self._fronts)
