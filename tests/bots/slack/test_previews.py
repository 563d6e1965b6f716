import asyncio

from bots.slack.previews import Previews
from core.clock import ManualClock


class Screen:
    """Shows previews as slowly as it is told."""

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
    """What comes within three seconds is one edit, the next takes five."""
    previews, screen = Previews(clock), Screen()
    await previews.begin(1, screen.show)
    for piece in "abc":
        previews.add(1, piece)
    assert await clock.until_sleeping() == [3]
    clock.advance(3)
    await screen.until_begun(2)
    previews.add(1, "d")
    assert await clock.until_sleeping() == [5]
    await previews.end(1)
    assert screen.shown == ["", "abc"]


async def test_closing_waits_for_what_is_on_its_way(clock: ManualClock) -> None:
    """No preview can arrive after the answer: the one being sent is waited for, and no other begins."""
    previews, screen = Previews(clock), Screen()
    await previews.begin(1, screen.show)
    await screen.until_begun(1)
    previews.add(1, "late")
    await clock.until_sleeping()
    screen.free.clear()
    clock.advance(3)
    await screen.until_begun(2)
    closing = asyncio.create_task(previews.end(1))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not closing.done()
    screen.free.set()
    assert await closing
    assert screen.shown == ["", "late"]
    assert 1 not in previews


async def test_nothing_is_left_running(clock: ManualClock) -> None:
    """Closing all ends every task; closing what is not open is no error; opening again begins anew."""
    previews, screen = Previews(clock), Screen()
    before = asyncio.all_tasks()
    for turn in (1, 2, 1):
        await previews.begin(turn, screen.show)
    await previews.end_all()
    assert not await previews.end(1)
    assert asyncio.all_tasks() == before
