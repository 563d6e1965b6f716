"""Serve until the process is killed: `python -m tests.fakes.slack --port 0 --journal FILE`. Prints its port."""

import argparse
import asyncio
from pathlib import Path

from aiohttp import web

from tests.fakes.slack.server import Slack


async def main(port: int, journal: Path) -> None:
    slack = Slack(journal)
    runner = web.AppRunner(slack.app(), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    slack.port = runner.addresses[0][1]
    print(slack.port, flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, required=True)
    asyncio.run(main(**vars(parser.parse_args())))
