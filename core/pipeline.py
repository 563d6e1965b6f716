"""Composes stages. A stage is called with the turn and the rest of the pipeline, and returns the reply."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from core.messages import Reply, Turn

Handler: TypeAlias = Callable[[Turn], Awaitable[Reply]]
Stage: TypeAlias = Callable[[Turn, Handler], Awaitable[Reply]]


def compose(*stages: Stage, innermost: Handler) -> Handler:
    """Stages as one handler; the first is the outermost."""
    handler = innermost
    for stage in reversed(stages):
        handler = partial(_call, stage, handler)
    return handler


async def _call(stage: Stage, call_next: Handler, turn: Turn) -> Reply:
    return await stage(turn, call_next)
