from dataclasses import replace

from core.messages import Reply, Source, Turn
from core.pipeline import Handler, Stage, compose
from tests.core.conftest import Write


def marking(name: str) -> Stage:
    async def stage(turn: Turn, call_next: Handler) -> Reply:
        reply = await call_next(replace(turn, message=replace(turn.message, text=f"{turn.message.text} {name}")))
        return replace(reply, text=f"{reply.text} /{name}")

    return stage


async def test_first_stage_is_outermost(write: Write) -> None:
    """Stages see the turn in the order given and the reply in the reverse."""

    async def innermost(turn: Turn) -> Reply:
        return Reply(text=turn.message.text, source=Source.MODEL)

    async def sink(_piece: str) -> None:
        pass

    handler = compose(marking("a"), marking("b"), innermost=innermost)
    reply = await handler(Turn(id=1, message=write("x"), sink=sink))
    assert reply.text == "x a b /b /a"
