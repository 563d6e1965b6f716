from dataclasses import replace

import pytest

from core.engine.scripted import ScriptedEngine
from core.messages import Author, Quote, Relation, Reply, Source, Turn
from core.stages.quotes import quotes
from core.text import CUT
from tests.core.conftest import Write


async def read(write: Write, text: str, told: tuple[Quote, ...], max_tokens: int) -> tuple[str, list[str]]:
    """The text and the quotes that the stage passes on."""
    seen: list[Turn] = []

    async def rest(turn: Turn) -> Reply:
        seen.append(turn)
        return Reply(text="ok", source=Source.MODEL)

    async def sink(piece: str) -> None:
        raise AssertionError(piece)

    message = replace(write(text), quotes=told)
    await quotes(ScriptedEngine.fixed(), max_tokens)(Turn(id=1, message=message, sink=sink), rest)
    return seen[0].message.text, [quote.text for quote in seen[0].message.quotes]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("why", ["a long line about a whale", "another one about tea"]),
        ("what do you say to that", [CUT, "another one about tea"]),
        ("what do you say to that after all", [CUT]),
    ],
)
async def test_oldest_quotes_give_way_to_the_message(write: Write, text: str, kept: list[str]) -> None:
    """As many of the last quotes are kept as fit beside the message, which is never cut; the gap is marked."""
    told = [
        Quote(relation=Relation.EARLIER, text=line) for line in ("a long line about a whale", "another one about tea")
    ]
    assert await read(write, text, tuple(told), 21) == (text, kept)


async def test_a_long_quote_keeps_beginning_and_end(write: Write) -> None:
    """Of a message that is too long, the beginning and the end are quoted, with a mark between them."""
    words = "It began with chairs. " + "They talked about chairs. " * 40 + "DECISION: we sell the boat."
    told = Quote(relation=Relation.REPLIED, author=Author.PERSON, text=words)
    _, (kept,) = await read(write, "what was the decision?", (told,), 100)
    assert kept.startswith("It began")
    assert CUT in kept
    assert kept.endswith("DECISION: we sell the boat.")


async def test_a_quote_that_fits_is_whole(write: Write) -> None:
    """A quote is not cut before it has to be."""
    told = Quote(relation=Relation.REPLIED, text="word " * 80)
    assert await read(write, "why", (told,), 100) == ("why", ["word " * 80])
