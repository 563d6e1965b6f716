import asyncio
import io
from pathlib import Path

import pytest

from bots.check import check_store
from bots.dead_letters import retry_dead
from config.settings import Settings
from core.clock import ManualClock
from core.errors import ConfigError
from core.store import dead_letters, open_store
from tests.bots.letters import add_dead_letter


async def test_dead_letters_are_named_and_taken_up_again(tmp_path: Path) -> None:
    """`parley retry-dead` opens the letter with an id, or all; ids of other turns open nothing."""
    settings, clock, out = Settings(data_dir=tmp_path), ManualClock(), io.StringIO()
    async with open_store(settings.store_url) as store:
        numbers = [await add_dead_letter(store, clock) for _ in range(3)]
    for turn_id in (99, numbers[0], None):
        await retry_dead(settings, turn_id, out)
    assert out.getvalue().splitlines() == ["0 opened again", "1 opened again", "2 opened again"]
    async with open_store(settings.store_url) as store:
        assert await store.run(dead_letters.listed) == ()


def test_check_names_dead_letters(tmp_path: Path) -> None:
    """`parley check` names the dead letters by their ids, and nothing of what they say."""
    settings = Settings(data_dir=tmp_path)
    asyncio.run(_bury(settings))
    assert check_store(settings) == f"{settings.store_path}, dead letters: 1 (parley retry-dead)"


async def _bury(settings: Settings) -> None:
    async with open_store(settings.store_url) as store:
        await add_dead_letter(store, ManualClock())


def test_without_a_store_there_is_nothing_to_open(tmp_path: Path) -> None:
    """`parley retry-dead` creates no store."""
    with pytest.raises(ConfigError):
        asyncio.run(retry_dead(Settings(data_dir=tmp_path), None, io.StringIO()))
    assert list(tmp_path.iterdir()) == []
