"""Fixtures of the core's tests: a store in memory, a manual clock, and messages."""

from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from core.clock import ManualClock
from core.messages import ConversationKey, Kind, Message, Person
from core.prompt import Persona
from core.side_by_side import SIDE_BY_SIDE
from core.store import Store, open_store

Write = Callable[..., Message]


@pytest.fixture
async def sqlite_store() -> AsyncIterator[Store]:
    """An empty store for what SQLite alone has, such as its query plans."""
    async with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store in each kind of database."""
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("empty_postgresql")
    async with open_store(url, beside=SIDE_BY_SIDE) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def persona() -> Persona:
    return Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})


@pytest.fixture
def write(clock: ManualClock) -> Write:
    """`write("hello", who="ann", chat="c1")` makes a new message."""
    numbers = count(1)

    def message(text: str, *, who: str = "ann", chat: str = "", key: str = "") -> Message:
        return Message(
            event_keys=(key or f"test:{next(numbers)}",),
            conversation=ConversationKey(platform="test", workspace="w", chat=chat or who),
            sender=Person(platform="test", workspace="w", id=who),
            text=text,
            sent_at=clock.now(),
            kind=Kind.PRIVATE,
        )

    return message
