"""`parley serve-model`: the model server as a child process that is started again if it fails.

Run as `python -m bots.serve`, with the options of the model server.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bots.logs import configure_logs
from core.clock import Clock, SystemClock
from core.engine.child import SERVER, kill, own_environment, spawn
from core.engine.supervisor import EX_CONFIG, TIMINGS, Timings

KEY: Final = "PARLEY_SERVER_KEY"
USAGE: Final = 2
FINAL: Final = frozenset({0, USAGE, EX_CONFIG})
"""Exit statuses after which another start would end in the same way."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stop:
    """Whether the process has been asked to stop, and whether it has been asked again: to stop now."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    again: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        (self.again if self.asked.is_set() else self.asked).set()


def main() -> None:
    configure_logs("auto", otherwise="info")
    sys.exit(asyncio.run(_serve_until_signalled((*SERVER, *sys.argv[1:], "--exit-with-parent"))))


async def _serve_until_signalled(command: tuple[str, ...]) -> int:
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.ask)
    return await serve(command, SystemClock(), stop)


async def serve(command: tuple[str, ...], clock: Clock, stop: Stop, timings: Timings = TIMINGS) -> int:
    """Run the server, again after each failure; the exit status, once it ends in order or cannot start.

    The child has a session of its own, so the terminal's Ctrl-C reaches it as one SIGTERM from here.
    """
    failures = 0
    while True:
        begun = clock.monotonic()
        process = await spawn(command, own_environment(KEY))
        async with asyncio.TaskGroup() as tasks:
            forwarding = tasks.create_task(_forward(stop, process))
            code = await process.wait()
            forwarding.cancel()
        if stop.asked.is_set():
            return 0 if code in {0, -signal.SIGTERM} else 128 + abs(code)
        if code in FINAL:
            return code
        failures = timings.count_failures(failures, served=clock.monotonic() - begun)
        pause = timings.restart_pause(failures, code=code)
        log.warning("model server ended", code=code, pause=pause)
        with suppress(TimeoutError):
            async with clock.timeout(pause):
                await stop.asked.wait()
                return 0


async def _forward(stop: Stop, process: asyncio.subprocess.Process) -> None:
    """Pass the wish to stop on: SIGTERM, and SIGKILL if it is repeated."""
    await stop.asked.wait()
    with suppress(ProcessLookupError):
        process.terminate()
    await stop.again.wait()
    kill(process)


if __name__ == "__main__":
    main()
