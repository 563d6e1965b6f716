"""Endless jobs that end together: the first one to end, by its error, ends the others."""

import asyncio
from collections.abc import Coroutine


async def until_one_ends(*jobs: Coroutine[None, None, None]) -> None:
    """Run jobs until one of them ends, cancel the others, and raise its error. A task group would wrap that error."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
