"""What the time of a turn is spent on, for those who trace it. Nothing is traced unless `bots/otel.py` is chosen."""

from collections.abc import Mapping
from typing import Protocol

from core.delivery import Delivery
from core.messages import Message
from core.pipeline import Handler, Stage


class Tracing(Protocol):
    """Is told when messages are admitted, and puts itself around stages and deliveries."""

    def note_admission(self, turn_id: int, message: Message, begun: float, ended: float) -> None:
        """Note when a message became a turn. Times are UTC epoch seconds."""

    def stage(self, name: str, stage: Stage) -> Stage:
        """A stage whose own time is traced: until it calls the rest of the pipeline, or else until it ends."""

    def handler(self, name: str, handler: Handler) -> Handler:
        """A handler whose time is traced, and when the first piece of its reply came."""

    def deliveries(self, fronts: Mapping[str, Delivery]) -> Mapping[str, Delivery]:
        """The deliveries of front ends, traced."""


class Untraced:
    """Traces nothing, and costs nothing."""

    def note_admission(self, turn_id: int, message: Message, begun: float, ended: float) -> None:
        pass

    def stage(self, name: str, stage: Stage) -> Stage:  # noqa: ARG002  as in the protocol
        return stage

    def handler(self, name: str, handler: Handler) -> Handler:  # noqa: ARG002  as in the protocol
        return handler

    def deliveries(self, fronts: Mapping[str, Delivery]) -> Mapping[str, Delivery]:
        return fronts


UNTRACED = Untraced()
