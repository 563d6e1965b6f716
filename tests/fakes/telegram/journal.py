"""What a person would have seen, one JSON object a line, on disk before anybody is told."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, TypeAlias

from tests.fakes.telegram.clock import FakeClock

Entry: TypeAlias = dict[str, Any]


class Journal:
    """Append-only. Whoever waits for news is told."""

    def __init__(self, path: Path | None, clock: FakeClock) -> None:
        self.entries: list[Entry] = []
        self._file = path.open("ab") if path else None
        self._clock = clock
        self._news = asyncio.Event()

    def write(self, bot: int, do: str, **facts: object) -> None:
        entry = {"bot": bot, "at": round(self._clock.now(), 3), "do": do, **facts}
        self.entries.append(entry)
        if self._file:
            self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._news.set()
        self._news = asyncio.Event()

    def of(self, bot: int) -> list[Entry]:
        return [entry for entry in self.entries if entry["bot"] == bot]

    async def after(self, bot: int, known: int) -> list[Entry]:
        """The entries of a bot that come after the first `known`, as soon as there are any."""
        while len(found := self.of(bot)) <= known:
            await self._news.wait()
        return found[known:]
