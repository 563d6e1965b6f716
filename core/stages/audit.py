"""Logs one record for each turn: its outcome, tokens and duration, and never a person's words."""

import structlog

from core.clock import Clock
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage

log = structlog.get_logger()


def audit(clock: Clock) -> Stage:
    """The stage that logs how each turn ended."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        begun = clock.monotonic()
        try:
            reply = await call_next(turn)
        except BaseException as error:
            log.warning("turn ended", turn=turn.id, outcome=type(error).__name__, seconds=clock.monotonic() - begun)
            raise
        log.info(
            "turn ended",
            turn=turn.id,
            outcome=reply.error or reply.source.value,
            finish=reply.finish.value,
            mood=reply.mood.label.value if reply.mood else None,
            prompt_tokens=reply.usage.prompt_tokens,
            completion_tokens=reply.usage.completion_tokens,
            seconds=round(clock.monotonic() - begun, 3),
        )
        return reply

    return stage
