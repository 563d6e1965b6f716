"""`parley serve-model`: model servers as child processes that are started again if they fail or hang.

Run as `python -m bots.serve`, with the options of the model server, and --workers.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bots.exits import one_line_errors
from bots.logs import configure_logs
from bots.workers import HELP, commands
from core.clock import Clock, SystemClock
from core.engine.child import kill, new_socket_path, own_environment, spawn
from core.engine.timings import EX_CONFIG, TIMINGS, Timings
from core.engine.watchdog import reason_of_end, watch

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
    if "--help" in sys.argv:
        print(HELP, flush=True)  # noqa: T201
    with one_line_errors():
        sys.exit(asyncio.run(_serve_until_signalled(commands(sys.argv[1:]))))


async def _serve_until_signalled(servers: Sequence[tuple[str, ...]]) -> int:
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.ask)
    return await serve_all(servers, SystemClock(), stop)


async def serve_all(servers: Sequence[tuple[str, ...]], clock: Clock, stop: Stop, timings: Timings = TIMINGS) -> int:
    """Run all servers, by their commands; the first exit status that is not 0. If one ends for good, so do all.

    The others start once the first one is ready: it has quantised the weights, which they only map.
    """
    ready = asyncio.Event()

    async def serve_one(command: tuple[str, ...]) -> int:
        code = await serve(command, clock, stop, timings, on_ready=ready.set)
        if not stop.asked.is_set():
            stop.ask()
        ready.set()
        return code

    async def follow(command: tuple[str, ...]) -> int:
        await ready.wait()
        return 0 if stop.asked.is_set() else await serve_one(command)

    first, *others = servers
    return next(filter(None, await asyncio.gather(serve_one(first), *map(follow, others))), 0)


async def serve(
    command: tuple[str, ...],
    clock: Clock,
    stop: Stop,
    timings: Timings = TIMINGS,
    on_ready: Callable[[], object] = lambda: None,
) -> int:
    """Run the server, again after each failure; the exit status, once it ends in order or cannot start.

    `on_ready` is called at each start, once it answers. Raises ConfigError if the path of the temporary folder is too
    long for a Unix socket.
    """
    failures = 0
    while True:
        begun = clock.monotonic()
        code, reason = await _run(command, clock, stop, timings, on_ready)
        if stop.asked.is_set():
            return 0 if code in {0, -signal.SIGTERM} else 128 + abs(code)
        if code in FINAL:
            return code
        failures = timings.count_failures(failures, served=clock.monotonic() - begun)
        pause = timings.restart_pause(failures, code=code)
        log.warning("model server ended", code=code, reason=reason, pause=pause)
        with suppress(TimeoutError):
            async with clock.timeout(pause):
                await stop.asked.wait()
                return 0


async def _run(
    command: tuple[str, ...], clock: Clock, stop: Stop, timings: Timings, on_ready: Callable[[], object]
) -> tuple[int, str]:
    """Run the server to its end; its exit status, and why it ended. It answers probes on a socket of its own.

    It has a session of its own, so the terminal's Ctrl-C reaches it as one SIGTERM from here.
    """
    with ExitStack() as folders:
        socket_path = new_socket_path(folders)
        process = await spawn((*command, "--health-uds", str(socket_path)), own_environment(KEY))
        async with asyncio.TaskGroup() as tasks:

            def tell_ready() -> None:
                log.info("model server ready", pid=process.pid)
                on_ready()

            watching = tasks.create_task(watch(process, socket_path, clock, timings, tell_ready))
            forwarding = tasks.create_task(_forward(stop, process, watching))
            code = await process.wait()
            watching.cancel()
            forwarding.cancel()
    return code, reason_of_end(code, watching)


async def _forward(stop: Stop, process: asyncio.subprocess.Process, watching: asyncio.Task[str]) -> None:
    """Pass the wish to stop on: SIGTERM, and SIGKILL if it is repeated. A server that ends answers no probes."""
    await stop.asked.wait()
    watching.cancel()
    with suppress(ProcessLookupError):
        process.terminate()
    await stop.again.wait()
    kill(process)


if __name__ == "__main__":
    main()
