"""What every platform's front end is, as `parley run` sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.routing import BaseRoute

from core.admission import Admission
from core.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a platform is reachable. `heard_at` is when it last answered, on the monotonic clock; None if never."""

    connected: bool
    heard_at: float | None


class FrontEnd(Protocol):
    """One platform: messages come in through `run` and `routes`, and go out through `deliveries`.

    `deliveries` holds a Delivery for each front served (`ConversationKey.front`); it may grow while the front end
    runs, when a bot learns who it is only from the platform.
    """

    @property
    def platform(self) -> str: ...

    @property
    def deliveries(self) -> Mapping[str, Delivery]: ...

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        """What the platform calls us at, if anything."""

    async def run(self, admission: Admission) -> None:
        """Take messages in until cancelled. Survives whatever the platform does, short of a ConfigError."""

    def health(self) -> Health: ...

    async def who(self) -> str:
        """The bot's name there, asked of the platform once. ConfigError says which setting is at fault."""
