"""Lines of standard input, read without blocking the event loop or the end of the program."""

import asyncio
import readline  # noqa: F401  gives `input` line editing and history
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future

MAX_CHARACTERS = 4_000_000
"""A longer line is read in parts, which bounds the memory for input."""


async def piped_lines() -> AsyncIterator[str]:
    """The lines of a pipe or file, without line ends. Bytes that are not UTF-8 become lone surrogates."""
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    while line := await _in_background(lambda: sys.stdin.readline(MAX_CHARACTERS)):
        yield line.rstrip("\r\n")


async def typed_lines(prompt: str) -> AsyncIterator[str]:
    """The lines that a person types, until the end of input."""
    while True:
        try:
            yield await _in_background(lambda: input(prompt))
        except EOFError:
            return


async def _in_background(read: Callable[[], str]) -> str:
    """Call `read` in a daemon thread, which does not keep the program alive while it waits for input."""
    result: Future[str] = Future()

    def work() -> None:
        try:
            line = read()
        except (EOFError, OSError, ValueError) as error:
            result.set_exception(error)
        else:
            result.set_result(line)

    threading.Thread(target=work, daemon=True, name="stdin").start()
    return await asyncio.wrap_future(result)
