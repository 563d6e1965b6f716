"""Several gateways of one PostgreSQL database: what one of them knows reaches the others at once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import sqlalchemy as sa

from core import corrections
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.forgetting import LOOK, MODEL_SECONDS, Left, forget_person
from core.messages import Deletion, Message, Person
from core.notice_board import BACKOFF
from core.prompt import Prompt
from core.scopes import scope
from core.store import notices
from core.store.notices import Notice, Topic
from tests.core.conftest import Write
from tests.core.neighbours import Neighbour, open_neighbour, until

pytestmark = pytest.mark.timeout(20)


def hanging() -> ScriptedEngine:
    return ScriptedEngine.hanging(after=1)


async def begin(gateway: Neighbour, message: Message) -> int:
    """Have a gateway begin to answer a message, which another one has accepted or will."""
    turn_id = await gateway.accept(message)
    await until(lambda: gateway.engine.open_streams > 0)
    return turn_id


async def until_closed(gateway: Neighbour) -> None:
    await until(lambda: gateway.engine.open_streams == 0)


async def test_stop_reaches_the_gateway_that_answers(empty_postgresql: str, clock: ManualClock, write: Write) -> None:
    """/stop that one gateway accepts ends the reply that another one is writing, at once.

    Both look for turns then, so that either may show the reply to /stop.
    """
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock) as a,
        open_neighbour(empty_postgresql, "b", hanging(), clock) as b,
    ):
        story = await begin(b, write("tell me a story"))
        assert await a.ask(write("/stop")) == "Stopped."
        await until_closed(b)
        await until(lambda: f"placeholder {story}" in dict(b.shown.replies))


async def test_a_stop_that_was_missed_is_found_later(empty_postgresql: str, clock: ManualClock, write: Write) -> None:
    """A gateway that hears no notices ends the reply with its next heartbeat, because the store knows of /stop."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock) as a,
        open_neighbour(empty_postgresql, "b", hanging(), clock, is_deaf=True) as b,
    ):
        await begin(b, write("tell me a story"))
        await a.ask(write("/stop"))
        assert b.engine.open_streams
        clock.advance(4)
        await until_closed(b)


async def test_a_withdrawal_reaches_the_gateway_that_answers(
    empty_postgresql: str, clock: ManualClock, write: Write
) -> None:
    """A question that is deleted at one gateway is not answered any more at another one."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock, works=False) as a,
        open_neighbour(empty_postgresql, "b", hanging(), clock) as b,
    ):
        asked = write("tell me a story")
        await begin(b, asked)
        gone = Deletion(event_keys=asked.event_keys, conversation=asked.conversation, sent_at=asked.sent_at)
        await a.store.run(corrections.delete, gone, clock.now())
        await until_closed(b)
        await until(lambda: bool(b.shown.withdrawn))


async def test_a_busy_gateway_calls_the_others(empty_postgresql: str, clock: ManualClock, write: Write) -> None:
    """A message that comes while all slots are taken is answered by another gateway; one that finds a slot is not."""
    async with (
        open_neighbour(empty_postgresql, "a", hanging(), clock) as a,
        open_neighbour(empty_postgresql, "b", ScriptedEngine.fixed("from b"), clock) as b,
    ):
        await begin(a, write("one"))
        assert b.shown.replies == []
        await a.accept(write("two", who="bob"))
        await until(lambda: len(b.shown.replies) == 1)
        assert "from b" in b.shown.replies[0][1]


async def test_what_was_missed_is_looked_at_after_a_reconnect(
    empty_postgresql: str, clock: ManualClock, write: Write
) -> None:
    """A gateway whose connection for notices has ended makes another one, and finds what it was not told."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock, is_deaf=True) as a,
        open_neighbour(empty_postgresql, "b", hanging(), clock) as b,
    ):
        await begin(b, write("tell me a story"))
        while not await a.store.run(end_listening):
            await asyncio.sleep(0)
        while await a.store.read(count_listening):
            await asyncio.sleep(0)
        await a.ask(write("/stop"))
        assert b.engine.open_streams
        while min(await clock.until_sleeping()) > BACKOFF.first:
            await asyncio.sleep(0)
        clock.advance(BACKOFF.first)
        await until_closed(b)


LISTENING = (
    "SELECT {} FROM pg_stat_activity WHERE application_name = current_setting('application_name') "
    "AND query LIKE 'LISTEN%'"
)


def end_listening(connection: sa.Connection) -> int:
    found = connection.exec_driver_sql(LISTENING.format("pg_terminate_backend(pid)").replace("%", "%%"))
    return len(found.all())


def count_listening(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql(LISTENING.format("count(*)").replace("%", "%%")).scalar_one())


async def test_a_notice_comes_with_its_commit(empty_postgresql: str, clock: ManualClock) -> None:
    """What is rolled back is not told."""
    heard: list[Notice] = []

    def fail(connection: sa.Connection) -> None:
        notices.send(connection, Notice(topic=Topic.SHOWN, turn_id=1))
        raise ZeroDivisionError

    async def look(notice: Notice) -> None:
        heard.append(notice)

    async with open_neighbour(empty_postgresql, "a", hanging(), clock) as a:
        told = Notice(topic=Topic.SHOWN, turn_id=2, place="place", sender="b")
        with a.admission.board.looking(Topic.SHOWN, look):
            with pytest.raises(ZeroDivisionError):
                await a.store.run(fail)
            await a.store.run(notices.send, Notice(topic=Topic.SHOWN, turn_id=3, sender="a"))
            await a.store.run(notices.send, told)
            await until(lambda: bool(heard))
        assert heard == [told]


async def forget(gateway: Neighbour, person: Person) -> Left:
    return await forget_person(gateway.memory, person, forget_answers=gateway.answers.forget)


async def test_no_gateway_serves_an_answer_to_who_was_forgotten(
    empty_postgresql: str, clock: ManualClock, write: Write
) -> None:
    """Once one gateway has forgotten a person, another one that hears nothing asks the model again."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock, works=False) as a,
        open_neighbour(empty_postgresql, "b", ScriptedEngine.fixed(), clock, is_deaf=True) as b,
    ):
        asked = write("When do you open?")
        await b.ask(asked)
        await b.ask(write("When do you open?", who="bob"))
        assert len(b.engine.prompts) == 1
        await settled(asyncio.create_task(forget(a, asked.sender)), clock)
        await b.ask(write("When do you open?", who="cid"))
        assert len(b.engine.prompts) == 2


async def test_the_others_drop_the_answer_from_memory(empty_postgresql: str, clock: ManualClock, write: Write) -> None:
    """A gateway that is told of a deletion keeps only the answers whose turns stand."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock, works=False) as a,
        open_neighbour(empty_postgresql, "b", ScriptedEngine.fixed(), clock) as b,
    ):
        asked = write("When do you open?")
        await b.ask(asked)
        await b.ask(write("Where are you?", who="bob"))
        assert len(b.answers) == 2
        forgetting = asyncio.create_task(forget(a, asked.sender))
        await until(lambda: len(b.answers) == 1)
        await settled(forgetting, clock)


async def settled(task: "asyncio.Task[Left]", clock: ManualClock) -> Left:
    """The result of a task that looks at the other gateways again and again."""
    while not task.done():
        await asyncio.sleep(0.005)
        if min(await clock.until_sleeping()) <= LOOK:
            clock.advance(LOOK)
    return task.result()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_an_answer_under_way_is_not_kept_for_others(
    request: pytest.FixtureRequest, kind: str, clock: ManualClock, write: Write
) -> None:
    """If a person is forgotten while they are answered, that answer goes into a cache, and is served to nobody."""
    url = "sqlite://" if kind == "sqlite" else request.getfixturevalue("empty_postgresql")
    go_on = asyncio.Event()

    async def script(_prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        yield "from "
        await go_on.wait()
        yield "nine"

    async with open_neighbour(url, "b", ScriptedEngine(script), clock, is_deaf=True) as b:
        asked = write("When do you open?")
        await begin(b, asked)
        await forget(b, asked.sender)
        go_on.set()
        await until(lambda: len(b.shown.replies) == 1)
        assert len(b.answers) == 1
        assert "from nine" in await b.ask(write("When do you open?", who="bob"))
        assert len(b.engine.prompts) == 2


async def test_every_gateway_has_its_model_forget(empty_postgresql: str, clock: ManualClock, write: Write) -> None:
    """/forget is done once the model server of each gateway has forgotten, and not before."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock) as a,
        open_neighbour(empty_postgresql, "b", ScriptedEngine.fixed(), clock) as b,
    ):
        asked = write("hello")
        await b.ask(asked)
        assert await settled(asyncio.create_task(forget(a, asked.sender)), clock) == Left(in_log=False, in_model="")
        theirs = scope(str(asked.conversation), str(asked.sender))
        assert theirs in a.engine.forgotten
        assert theirs in b.engine.forgotten
        b.engine.can_forget = False
        await b.ask(asked := write("hello", who="bob"))
        assert (await settled(asyncio.create_task(forget(a, asked.sender)), clock)).in_model == "never"


async def test_a_model_that_is_away_forgets_later(empty_postgresql: str, clock: ManualClock, write: Write) -> None:
    """The model server of another gateway is waited for, but not for long, nor if its gateway has ended."""
    async with (
        open_neighbour(empty_postgresql, "a", ScriptedEngine.fixed(), clock) as a,
        open_neighbour(empty_postgresql, "b", ScriptedEngine.fixed(), clock) as b,
    ):
        asked = write("hello")
        await b.ask(asked)
        b.engine.available = False
        begun = clock.now()
        assert (await settled(asyncio.create_task(forget(a, asked.sender)), clock)).in_model == "later"
        assert clock.now() - begun >= MODEL_SECONDS
    async with open_neighbour(empty_postgresql, "c", ScriptedEngine.fixed(), clock, is_deaf=True) as c:
        place = scope(str(asked.conversation))
        await until(lambda: place in c.engine.forgotten)
        await c.ask(asked := write("hello", who="bob"))
        assert (await forget(c, asked.sender)).in_model == ""
