"""How the console shows a reply: to a person at a terminal, to a pipe line by line, or to a program as JSON."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Protocol, TextIO

from rich.console import Console as Terminal
from rich.status import Status
from rich.text import Text

from core.i18n import say
from core.messages import Locale, Mood, Reply
from core.mood import EMOJI


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """How long a reply took from the message's arrival; `first_token` is None where nothing was previewed."""

    first_token: float | None
    total: float


class Screen(Protocol):
    """What the console asks of an output."""

    def thinking(self) -> None:
        """A message was taken; its reply will follow."""

    def piece(self, text: str) -> None:
        """The next piece of the reply."""

    def reply(self, reply: Reply, seconds: Seconds) -> None:
        """The whole reply to the message at hand."""

    def recovered(self, reply: Reply) -> None:
        """The reply to a message of an earlier session."""


class TerminalScreen:
    """Streams to a person, with a spinner while nothing has come."""

    def __init__(self, locale: Locale) -> None:
        self._terminal = Terminal(highlight=False)
        self._locale = locale
        self._spinner: Status | None = None
        self._seen = ""

    def thinking(self) -> None:
        self._seen = ""
        self._spinner = self._terminal.status(Text(say(self._locale, "console.thinking"), style="dim"))
        self._spinner.start()

    def piece(self, text: str) -> None:
        self._stop_spinner()
        fresh = text if self._seen else text.lstrip()
        self._seen += fresh
        self._terminal.print(Text(fresh), end="", soft_wrap=True)

    def reply(self, reply: Reply, seconds: Seconds) -> None:  # noqa: ARG002  a person sees how long it takes
        self._stop_spinner()
        seen = self._seen.rstrip()
        if not reply.text.startswith(seen):  # the model died and began again, or an apology took the place
            self._terminal.print()
            seen = ""
        self._terminal.print(Text(reply.text[len(seen) :] + _mark(reply.mood, shown=reply.show_mood)), soft_wrap=True)

    def recovered(self, reply: Reply) -> None:
        self._stop_spinner()
        self._terminal.print(Text(say(self._locale, "console.recovered"), style="dim"))
        self._terminal.print(Text(reply.text), soft_wrap=True)

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


class LineScreen:
    """One line a reply, for pipes."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def thinking(self) -> None:
        pass

    def piece(self, text: str) -> None:
        pass

    def reply(self, reply: Reply, seconds: Seconds) -> None:  # noqa: ARG002
        line = " ".join(reply.text.split()) + _mark(reply.mood, shown=reply.show_mood)
        print(line, file=self._out, flush=True)

    def recovered(self, reply: Reply) -> None:
        """Goes to standard error: standard output has one line for each line that came in."""
        print(" ".join(reply.text.split()), file=sys.stderr, flush=True)  # noqa: T201


class JsonScreen:
    """One JSON object a reply, for programs."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def thinking(self) -> None:
        pass

    def piece(self, text: str) -> None:
        pass

    def reply(self, reply: Reply, seconds: Seconds) -> None:
        self._write(reply, self._out, seconds)

    def recovered(self, reply: Reply) -> None:
        """Goes to standard error, like every recovered reply where the output is read by a program."""
        self._write(reply, sys.stderr, None)

    def _write(self, reply: Reply, out: TextIO, seconds: Seconds | None) -> None:
        row = {
            "reply": reply.text,
            "mood": mood_row(reply.mood),
            "source": reply.source,
            "finish": reply.finish,
            "error": reply.error or None,
            "usage": asdict(reply.usage),
            "seconds": asdict(seconds) if seconds else None,
        }
        print(json.dumps(row, ensure_ascii=False), file=out, flush=True)


def mood_row(mood: Mood | None) -> dict[str, str | float] | None:
    """A mood as JSON has it."""
    return {"label": mood.label, "confidence": round(mood.confidence, 4)} if mood else None


def _mark(mood: Mood | None, *, shown: bool) -> str:
    return f" {EMOJI[mood.label]}" if mood and shown else ""
