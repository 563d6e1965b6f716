"""The journal of what people see: one JSON object per line, written to disk before the bot gets its answer."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, TypeAlias

from tests.fakes.telegram.clock import FakeClock

Entry: TypeAlias = dict[str, Any]


class Journal:
    """Append-only. Each entry wakes the waiting readers."""

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
        """Wait for entries of a bot after the first `known`, and return them."""
        while len(found := self.of(bot)) <= known:
            await self._news.wait()
        return found[known:]
