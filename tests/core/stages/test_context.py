from dataclasses import replace

import pytest

from core.engine.scripted import ScriptedEngine
from core.messages import Reply, Source, Turn
from core.stages.context import context
from tests.core.conftest import Write


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("why", "a long line about a whale\nanother one about tea"),
        ("what do you say to that", "another one about tea"),
        ("what do you say to that after all", ""),
    ],
)
async def test_oldest_lines_give_way_to_the_message(write: Write, text: str, read: str) -> None:
    """The quote keeps as many of its last lines as fit beside the message, which is never cut."""
    seen: list[Turn] = []

    async def rest(turn: Turn) -> Reply:
        seen.append(turn)
        return Reply(text="ok", source=Source.MODEL)

    async def sink(piece: str) -> None:
        raise AssertionError(piece)

    message = replace(write(text), context="a long line about a whale\nanother one about tea")
    await context(ScriptedEngine.fixed(), 11)(Turn(id=1, message=message, sink=sink), rest)
    assert (seen[0].message.text, seen[0].message.context) == (text, read)
