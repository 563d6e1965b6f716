"""`python -m tests.fakes.telegram --port 0 --journal FILE --speed 1`: runs until its standard input ends."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web

from tests.fakes.telegram.clock import FakeClock
from tests.fakes.telegram.journal import Journal
from tests.fakes.telegram.server import FakeTelegram


async def serve(port: int, journal: Path | None, speed: float) -> None:
    clock = FakeClock(speed)
    runner = web.AppRunner(FakeTelegram(clock, Journal(journal, clock)).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # unanswered calls would delay an orderly shutdown


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--speed", type=float, default=1.0)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.journal, given.speed))


if __name__ == "__main__":
    main()
