"""`parley chat` and `parley mood` as processes with pipes or a terminal, and a model server on real sockets."""

import asyncio
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.intent import Intent
from core.messages import Label
from core.mood import mood_prompts
from tests.core.engine.fake_server import serving

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The result of a process."""

    code: int
    out: str
    errors: str

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Parley:
    """Runs `parley` in one folder against one model."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.variables = {"PARLEY_ENGINE__URL": url, "PARLEY_DATA_DIR": str(folder / "data")}

    async def start(
        self, *arguments: str, stdin: int = asyncio.subprocess.PIPE, variables: Mapping[str, str] = NO_VARIABLES
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "bots", *arguments),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **self.variables, **variables},
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE if stdin == asyncio.subprocess.PIPE else stdin,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *arguments: str, lines: str | bytes = "", **variables: str) -> Ended:
        process = await self.start(*arguments, variables=variables)
        content = lines if isinstance(lines, bytes) else lines.encode()
        out, errors = await process.communicate(content)
        return Ended(code=process.returncode or 0, out=out.decode(), errors=errors.decode())


@asynccontextmanager
async def parley_with(engine: Engine, folder: Path) -> AsyncIterator[Parley]:
    async with serving(engine) as url:
        yield Parley(folder, url)


def cheerful(text: str) -> Label:
    return Label.POSITIVE if "happy" in text else Label.NEUTRAL


async def test_a_line_in_is_a_line_out(tmp_path: Path) -> None:
    """With piped input each message gets one line, also if its reply has several, and end of input exits with 0.

    Only a mood that is felt is shown.
    """
    async with parley_with(ScriptedEngine.fixed("two\nlines", mood=cheerful), tmp_path) as parley:
        ended = await parley("chat", lines="I am happy\n/help\n\n/nonsense\nmore\n")
    assert ended.code == 0, ended.errors
    lines = ended.out.splitlines()
    assert lines[0] == "two lines 😊"
    assert len(lines) == 5
    assert "/help" in lines[1]
    assert lines[4] == "two lines"


async def test_json_has_one_object_a_line(tmp_path: Path) -> None:
    """--json prints the reply with its mood, source, token counts and times."""
    async with parley_with(ScriptedEngine.fixed("fine", mood=cheerful), tmp_path) as parley:
        ended = await parley("chat", "--json", lines="I am happy\n/help\n")
    reply, command = ended.rows
    assert reply["reply"] == "fine"
    assert reply["source"] == "model"
    assert reply["mood"]["label"] == "positive"
    assert 0 < reply["mood"]["confidence"] <= 1
    assert reply["usage"]["completion_tokens"] == 1
    assert 0 < reply["seconds"]["first_token"] <= reply["seconds"]["total"]
    assert (command["source"], command["mood"], command["seconds"]["first_token"]) == ("command", None, None)


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    """The history of a user is kept between runs and is not shown to another user."""
    async with parley_with(ScriptedEngine.echo(), tmp_path) as parley:
        await parley("chat", "--user", "ann", lines="the canary sings\n")
        again = await parley("chat", "--user", "ann", lines="what was that then\n")
        other = await parley("chat", "--user", "bob", lines="what was that then\n")
    assert "canary" in again.out
    assert "canary" not in other.out


async def test_invalid_text_is_answered(tmp_path: Path) -> None:
    """Invalid UTF-8, NUL and a megabyte of text are each answered with one line."""
    content = b"caf\xe9 \xff\xfe\n" + b"\x00\n" + b"x" * 1_000_000 + b"\nfine\n"
    async with parley_with(ScriptedEngine.fixed("ok"), tmp_path) as parley:
        ended = await parley("chat", "--json", lines=content)
    assert ended.code == 0, ended.errors
    assert [row["error"] for row in ended.rows] == [None, "empty_text", "too_long", None]


async def test_unreachable_model_is_an_apology(tmp_path: Path) -> None:
    """If engine.url is unreachable, each line gets an apology and the console keeps running."""
    parley = Parley(tmp_path, "http://127.0.0.1:9/v1")
    ended = await parley("chat", "--json", lines="hello\n/help\n")
    assert ended.code == 0, ended.errors
    assert [row["error"] for row in ended.rows] == ["engine_unavailable", None]


async def test_limits_can_be_applied_to_the_console(tmp_path: Path) -> None:
    """The console is exempt from the rate limit by default; without the exemption every line still gets its reply."""
    lines = "one?\ntwo?\nthree?\nfour?\n"
    async with parley_with(ScriptedEngine.fixed("ok"), tmp_path) as parley:
        free = await parley("chat", "--json", lines=lines, PARLEY_LIMITS__BURST="2")
        limited = await parley("chat", "--json", lines=lines, PARLEY_LIMITS__BURST="2", PARLEY_LIMITS__EXEMPT="")
    assert [row["error"] for row in free.rows] == [None] * 4
    assert [row["error"] for row in limited.rows] == [None, None, "throttled", "throttled"]


async def test_second_console_of_one_person_is_refused(tmp_path: Path) -> None:
    """A second console of the same user exits with a message, because the two would take each other's replies."""
    async with parley_with(ScriptedEngine.fixed("ok"), tmp_path) as parley:
        first = await parley.start("chat", "--user", "ann")
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write(b"hello\n")
        assert await first.stdout.readline()
        second = await parley("chat", "--user", "ann", lines="hello\n")
        other = await parley("chat", "--user", "bob", lines="hello\n")
        await first.communicate(b"")
    assert second.code == 78
    assert "console/ann is served by another parley already" in second.errors
    assert len(second.errors.splitlines()) == 1
    assert other.code == 0


async def test_message_cut_off_by_a_kill_is_answered_at_the_next_start(tmp_path: Path) -> None:
    """A message whose console was killed is answered on stderr at the next start."""
    async with parley_with(ScriptedEngine.hanging(after=1), tmp_path) as parley:
        process = await parley.start("chat", "--json", "--user", "ann")
        assert process.stdin is not None
        process.stdin.write(b"the lost question\n")
        await process.stdin.drain()
        while not await asyncio.to_thread(running_turns, tmp_path / "data" / "parley.db"):
            pass
        process.send_signal(signal.SIGKILL)
        await process.communicate(b"")
    async with parley_with(ScriptedEngine.echo(), tmp_path) as parley:
        ended = await parley("chat", "--json", "--user", "ann", lines="the new question\n")
    assert len(ended.rows) == 1
    assert "the new question" in ended.out
    assert '"reply": "system:' in ended.errors
    assert "the lost question" in ended.errors


async def test_terminal_streams_and_says_goodbye(tmp_path: Path) -> None:
    """A terminal shows a welcome, a prompt, the reply with its mood, and a goodbye at end of input."""
    outer, inner = pty.openpty()
    async with parley_with(ScriptedEngine.fixed("nice to meet you", mood=cheerful), tmp_path) as parley:
        process = await parley.start("chat", stdin=inner, variables={"TERM": "dumb", "LANG": "en_US.UTF-8"})
        os.close(inner)
        await asyncio.to_thread(read_until, outer, b"> ")
        os.write(outer, b"I am happy\n")
        shown = await asyncio.to_thread(read_until, outer, "😊".encode(), b"> ")
        os.write(outer, b"\x04")
        farewell = await asyncio.to_thread(read_until, outer, b"Goodbye")
        assert await process.wait() == 0
    os.close(outer)
    assert b"nice to meet you" in shown
    assert farewell


async def test_moods_of_lines(tmp_path: Path) -> None:
    """`parley mood` prints one mood per line, as text or as JSON."""
    async with parley_with(ScriptedEngine.fixed("", mood=cheerful), tmp_path) as parley:
        words = await parley("mood", lines="I am happy\nso it is\n")
        rows = await parley("mood", "--json", lines="I am happy\n" + "long " * 600 + "\n")
    assert [line.split()[:2] for line in words.out.splitlines()] == [["😊", "positive"], ["😐", "neutral"]]
    assert rows.rows[0]["mood"]["label"] == "positive"
    assert rows.rows[1] == {"mood": None, "error": "too_long"}


async def test_an_unknown_mood_has_no_face(tmp_path: Path) -> None:
    """`parley mood` says "unknown" if the server gives no log-probabilities; so it does for the intent."""
    async with parley_with(ScriptedEngine.fixed("", mood=lambda _: None), tmp_path) as parley:
        words = await parley("mood", "--intent", lines="I am happy\n")
    assert words.out == "unknown\tunknown\n"


async def test_intent_and_keywords_are_printed_if_asked_for(tmp_path: Path) -> None:
    """`--intent` and `--keywords` each add a column after the mood, or a key to the JSON."""
    engine = ScriptedEngine.fixed("parcel, late, refund", mood=cheerful)
    engine.intent = lambda text: Intent.COMPLAINT if "late" in text else Intent.OTHER
    async with parley_with(engine, tmp_path) as parley:
        words = await parley("mood", "--intent", "--keywords", lines="The Parcel is late\nso it is\n")
        rows = await parley("mood", "--keywords", "--json", lines="The Parcel is late\n" + "long " * 600 + "\n")
    first, second = [line.split("\t") for line in words.out.splitlines()]
    assert first[0].startswith("😐 neutral ")
    assert first[1].split()[0] == "complaint"
    assert first[2] == "Parcel, late"
    assert [second[1].split()[0], second[2]] == ["other", "-"]
    assert list(rows.rows[0]) == ["mood", "keywords", "error"]
    assert rows.rows[0]["keywords"] == ["Parcel", "late"]
    assert rows.rows[1] == {"mood": None, "keywords": None, "error": "too_long"}


async def test_an_intent_costs_nothing_unless_asked_for(tmp_path: Path) -> None:
    """Without `--intent` the model is asked for moods only, also in the calibration, and writes no keywords."""
    engine = ScriptedEngine.fixed("parcel", mood=cheerful)
    async with parley_with(engine, tmp_path) as parley:
        await parley("mood", lines="The Parcel is late\n")
    instructions = {prompt[0].content for prompt in engine.first_token_prompts}
    assert instructions == {prompt.system for prompt in mood_prompts().values()}
    assert engine.prompts == []


async def test_damaged_store_is_one_line(tmp_path: Path) -> None:
    """A file that is not a database ends the program with one line and is not changed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "parley.db").write_bytes(b"not a database at all " * 100)
    async with parley_with(ScriptedEngine.fixed("ok"), tmp_path) as parley:
        ended = await parley("chat", lines="hello\n")
    assert ended.code != 0
    assert len(ended.errors.splitlines()) == 1, ended.errors
    assert (tmp_path / "data" / "parley.db").read_bytes() == b"not a database at all " * 100


def running_turns(path: Path) -> int:
    if not path.exists():
        return 0
    with sqlite3.connect(path) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM turns WHERE state = 'running'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def read_until(terminal: int, *marks: bytes) -> bytes:
    """Read until each mark has come after the one before; several may come in one read."""
    shown, position = b"", 0
    for mark in marks:
        while (found := shown.find(mark, position)) < 0:
            shown += os.read(terminal, 4096)
        position = found + len(mark)
    return shown


@pytest.mark.parametrize("module", ["bots.app", "bots.console", "bots.moods"])
def test_the_gateway_never_imports_torch(module: str) -> None:
    """The gateway's modules import neither torch nor transformers."""
    script = f"import sys, {module}; print({{'torch', 'transformers', 'tokenizers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
