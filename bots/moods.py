"""`parley mood`: the mood of each line of the input, read by the model."""

import json
import sys

from bots.app import CALIBRATION, open_engine
from bots.folders import private_folder
from bots.lines import piped_lines
from bots.screens import mood_row
from config.options import fixed_locale
from config.settings import Settings
from core.clock import SystemClock
from core.errors import TooLong
from core.messages import Mood
from core.mood import EMOJI
from core.stages.guard import check_length
from core.stages.mood import MoodReader
from core.text import clean


async def run_moods(settings: Settings, *, as_json: bool) -> None:
    """Print a mood for each line. Raises EngineError if the model does not answer."""
    private_folder(settings.data_dir)
    locale = fixed_locale(settings) or "en"
    async with open_engine(settings, SystemClock()) as engine:
        reader = MoodReader(engine)
        await reader.calibrate(settings.data_dir / CALIBRATION)
        async for line in piped_lines():
            text = clean(line)
            try:
                await check_length(engine, text, settings.chat.max_input_tokens)
                mood = await reader.read(text, locale)
            except TooLong as error:
                _print(f"too long: {error}", {"mood": None, "error": "too_long"}, as_json=as_json)
            else:
                _print(_word(mood), {"mood": mood_row(mood), "error": None}, as_json=as_json)


def _word(mood: Mood) -> str:
    """The mood in words. Confidence 0 means that it is unknown: the engine gave no log-probabilities."""
    return f"{EMOJI[mood.label]} {mood.label} {mood.confidence:.2f}" if mood.confidence else "unknown"


def _print(words: str, row: dict[str, object], *, as_json: bool) -> None:
    print(json.dumps(row, ensure_ascii=False) if as_json else words, file=sys.stdout, flush=True)  # noqa: T201
