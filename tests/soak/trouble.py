"""What goes wrong meanwhile: outages of the platforms and of the network, and deaths of the bot's processes."""

import asyncio
import signal
from dataclasses import dataclass
from random import Random

from tests.fakes.slack.client import FakeSlack
from tests.fakes.telegram.control import Account
from tests.soak.bot import Bot

POSTS = ("sendMessage", "chat.postMessage", "chat.startStream")


@dataclass(slots=True, kw_only=True)
class Trouble:
    """`doubts` counts the calls that took effect without an answer: each may leave a begun message behind."""

    chance: Random
    telegram: Account
    slack: FakeSlack
    bot: Bot
    doubts: int = 0

    async def outage(self) -> None:
        """Let one platform fail for some calls."""
        times = self.chance.choice((1, 2, 5, 20))
        if self.chance.random() < 0.5:
            kind, extra = self.chance.choice((("error", {}), ("error", {"retry_after": 2}), ("cut", {}), ("lost", {})))
            method = self.chance.choice(("*", "getUpdates", "sendMessage", "editMessageText"))
            await self.telegram.faults({"method": method, "kind": kind, "times": times, **extra})
        else:
            kind = self.chance.choice(("unavailable", "ratelimited", "cut", "lost", "socket"))
            if kind == "socket":
                await self.slack.pull("drop", how=self.chance.choice(("refresh", "close", "cut")))
                return
            method = self.chance.choice(("*", "chat.postMessage", "chat.update", "chat.appendStream"))
            await self.slack.pull("mend")
            await self.slack.pull("fault", method=method, kind=kind, times=times)
        if kind == "lost" and method in {"*", *POSTS}:
            self.doubts += times

    async def recovery(self) -> None:
        await self.telegram.faults()
        await self.slack.pull("mend")

    async def death(self) -> None:
        """Kill the model server or the gateway, or ask the gateway to end; and start it again."""
        victim = self.chance.choice(("model", "gateway", "gateway, politely"))
        if victim == "model":
            return self.bot.kill_model()
        await self.bot.end(signal.SIGKILL if victim == "gateway" else signal.SIGTERM)
        await asyncio.sleep(self.chance.uniform(0, 3))
        return await self.bot.start()
