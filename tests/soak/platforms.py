"""Both fake platforms, with the time of the bot, and the crowd on them."""

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from core.clock import ManualClock
from tests.fakes.slack.client import FakeSlack, fake_slack, fake_slack_process
from tests.fakes.telegram.clock import EPOCH
from tests.fakes.telegram.control import Account, make_account, run_telegram
from tests.soak.crowd import Crowd, Tail

REPEATED_EVERY = 5.0
"""Seconds until Slack says again what is not acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platforms:
    """A bot's account on Telegram and its workspace on Slack. Their journals are in a folder."""

    telegram: Account
    slack: FakeSlack
    folder: Path

    def crowd(self, seed: int) -> Crowd:
        """Many people, who have not written yet."""
        return Crowd(
            chance=Random(f"{seed} crowd"),
            telegram=self.telegram,
            slack=self.slack,
            telegram_journal=Tail(self.folder / "telegram"),
            slack_journal=Tail(self.folder / "slack"),
        )


@asynccontextmanager
async def open_platforms(folder: Path) -> AsyncIterator[Platforms]:
    with ExitStack() as processes:
        address = processes.enter_context(run_telegram(folder / "telegram"))
        port = processes.enter_context(fake_slack_process(folder / "slack"))
        async with make_account(address) as telegram, fake_slack(port) as slack:
            await telegram.advance(time.time() - EPOCH - time.monotonic())
            await slack.pull("advance", seconds=time.time() - ManualClock().now())
            await slack.pull("insist", seconds=REPEATED_EVERY)
            yield Platforms(telegram=telegram, slack=slack, folder=folder)
