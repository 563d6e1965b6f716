"""`parley mood`: the mood of each line of the input, and its intent and keywords if asked for, read by the model."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bots.app import CALIBRATION, open_engine
from bots.folders import private_folder
from bots.lines import piped_lines
from bots.screens import label_row
from config.options import fixed_locale
from config.settings import Settings
from core.clock import SystemClock
from core.engine.protocol import Engine
from core.errors import TooLong
from core.intent import IntentReader, IntentReading
from core.keywords import KeywordReader
from core.messages import Locale, Mood
from core.mood import EMOJI
from core.stages.guard import check_length
from core.stages.mood import MoodReader
from core.text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What was read from one line, in words and as a JSON value."""

    words: str
    value: object


Column: TypeAlias = Callable[[str, Locale], Awaitable[Cell]]
"""Reads one thing from a text."""


async def run_moods(settings: Settings, *, as_json: bool, intent: bool, keywords: bool) -> None:
    """Print a mood for each line, then its intent and keywords. Raises EngineError if the model does not answer."""
    private_folder(settings.data_dir)
    locale = fixed_locale(settings) or "en"
    async with open_engine(settings, SystemClock()) as engine:
        columns = await _columns(engine, settings.data_dir / CALIBRATION, intent=intent, keywords=keywords)
        async for line in piped_lines():
            text = clean(line)
            try:
                await check_length(engine, text, settings.chat.max_input_tokens)
                cells = {name: await read(text, locale) for name, read in columns.items()}
            except TooLong as error:
                _print(f"too long: {error}", {**dict.fromkeys(columns), "error": "too_long"}, as_json=as_json)
            else:
                words = "\t".join(cell.words for cell in cells.values())
                row = {name: cell.value for name, cell in cells.items()}
                _print(words, {**row, "error": None}, as_json=as_json)


async def _columns(engine: Engine, calibrations: Path, *, intent: bool, keywords: bool) -> Mapping[str, Column]:
    columns = {"mood": await _labels(MoodReader(engine), calibrations)}
    if intent:
        columns["intent"] = await _labels(IntentReader(engine), calibrations)
    if keywords:
        columns["keywords"] = _keywords(KeywordReader(engine))
    return columns


async def _labels(reader: MoodReader | IntentReader, calibrations: Path) -> Column:
    await reader.calibrate(calibrations)

    async def column(text: str, locale: Locale) -> Cell:
        found = await reader.read(text, locale)
        return Cell(words=_words(found), value=label_row(found))

    return column


def _keywords(reader: KeywordReader) -> Column:
    async def column(text: str, locale: Locale) -> Cell:
        found = await reader.read(text, locale)
        return Cell(words=", ".join(found) or "-", value=found)

    return column


def _words(found: Mood | IntentReading) -> str:
    """A label in words. Confidence 0 means that it is unknown: the engine gave no log-probabilities."""
    emoji = f"{EMOJI[found.label]} " if isinstance(found, Mood) else ""
    return f"{emoji}{found.label} {found.confidence:.2f}" if found.confidence else "unknown"


def _print(words: str, row: Mapping[str, object], *, as_json: bool) -> None:
    print(json.dumps(row, ensure_ascii=False) if as_json else words, file=sys.stdout, flush=True)  # noqa: T201
