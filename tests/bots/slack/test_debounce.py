import asyncio

from bots.slack.debounce import Debouncer
from core.clock import ManualClock


class Screen:
    """Shows texts, but not while `free` is cleared."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.shown: list[str] = []
        self.free = asyncio.Event()
        self.free.set()

    async def show(self, text: str) -> None:
        self.begun.append(text)
        await self.free.wait()
        self.shown.append(text)

    async def until_begun(self, count: int) -> None:
        while len(self.begun) < count:
            await asyncio.sleep(0)


async def test_pieces_are_shown_together(clock: ManualClock) -> None:
    """Pieces of the first three seconds are shown together, those of the next five seconds as well."""
    debouncer, screen = Debouncer(clock), Screen()
    await debouncer.begin(1, screen.show)
    for piece in "abc":
        debouncer.add(1, piece)
    assert await clock.until_sleeping() == [3]
    clock.advance(3)
    await screen.until_begun(2)
    debouncer.add(1, "d")
    assert await clock.until_sleeping() == [5]
    await debouncer.end(1)
    assert screen.shown == ["", "abc"]


async def test_closing_waits_for_what_is_on_its_way(clock: ManualClock) -> None:
    """Ending waits for a call under way and starts no other, so that no preview can arrive after the answer."""
    debouncer, screen = Debouncer(clock), Screen()
    await debouncer.begin(1, screen.show)
    await screen.until_begun(1)
    debouncer.add(1, "late")
    await clock.until_sleeping()
    screen.free.clear()
    clock.advance(3)
    await screen.until_begun(2)
    closing = asyncio.create_task(debouncer.end(1))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not closing.done()
    screen.free.set()
    assert await closing
    assert screen.shown == ["", "late"]
    assert 1 not in debouncer


async def test_nothing_is_left_running(clock: ManualClock) -> None:
    """Ending all ends every task. Ending an unknown text is no error, and beginning a text again starts over."""
    debouncer, screen = Debouncer(clock), Screen()
    before = asyncio.all_tasks()
    for turn in (1, 2, 1):
        await debouncer.begin(turn, screen.show)
    await debouncer.end_all()
    assert not await debouncer.end(1)
    assert asyncio.all_tasks() == before
