"""Outputs of the console: a terminal, lines for a pipe, or JSON lines for a program."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Protocol, TextIO

from rich.console import Console as Terminal
from rich.status import Status
from rich.text import Text

from bots.markdown import ends_in_words
from core.faces import face
from core.i18n import say
from core.intent import IntentReading
from core.messages import Locale, Mood, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Seconds from a message to its reply; `first_token` is None if the reply did not come in pieces."""

    first_token: float | None
    total: float


class Screen(Protocol):
    """An output of the console."""

    def thinking(self) -> None:
        """Show that a message is being answered."""

    def piece(self, text: str) -> None:
        """Show the next piece of the reply."""

    def reply(self, reply: Reply, seconds: Seconds) -> None:
        """Show the whole reply. Its pieces may have been shown before."""

    def recovered(self, reply: Reply) -> None:
        """Show the reply to a message of an earlier session."""

    def converting(self, done: int, total: int) -> None:
        """Show how many weights of a new model are converted."""


class TerminalScreen:
    """Streams a reply to a terminal, with a spinner until its first piece."""

    def __init__(self, locale: Locale) -> None:
        self._terminal = Terminal(highlight=False)
        self._locale = locale
        self._spinner: Status | None = None
        self._shown = ""
        self._activity = say(locale, "console.thinking")

    def thinking(self) -> None:
        self._shown = ""
        self._spinner = self._terminal.status(Text(self._activity, style="dim"))
        self._spinner.start()

    def piece(self, text: str) -> None:
        self._stop_spinner()
        fresh = text if self._shown else text.lstrip()
        self._shown += fresh
        self._terminal.print(Text(fresh), end="", soft_wrap=True)

    def reply(self, reply: Reply, seconds: Seconds) -> None:  # noqa: ARG002  a person needs no figures
        self._stop_spinner()
        shown = self._shown.rstrip()
        if not reply.text.startswith(shown):  # the model was restarted, or an apology replaced the reply
            self._terminal.print()
            shown = ""
        self._terminal.print(Text(reply.text[len(shown) :] + _mark(reply)), soft_wrap=True)

    def recovered(self, reply: Reply) -> None:
        self._stop_spinner()
        self._terminal.print(Text(say(self._locale, "console.recovered"), style="dim"))
        self._terminal.print(Text(reply.text), soft_wrap=True)

    def converting(self, done: int, total: int) -> None:
        """The spinner of the message that waits for it says so; before there is one, nothing is shown."""
        activity = "thinking" if done == total else "converting"
        self._activity = say(self._locale, f"console.{activity}", percent=done * 100 // total)
        if self._spinner is not None:
            self._spinner.update(Text(self._activity, style="dim"))

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


class LineScreen:
    """Prints one line per reply, for pipes."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def thinking(self) -> None:
        pass

    def piece(self, text: str) -> None:
        pass

    def reply(self, reply: Reply, seconds: Seconds) -> None:  # noqa: ARG002
        line = " ".join((reply.text + _mark(reply)).split())
        print(line, file=self._out, flush=True)

    def recovered(self, reply: Reply) -> None:
        """Goes to standard error: standard output has exactly one line per line of input."""
        print(" ".join(reply.text.split()), file=sys.stderr, flush=True)  # noqa: T201

    def converting(self, done: int, total: int) -> None:
        """Nothing: it is over in seconds, and the output is for programs."""


class JsonScreen:
    """Prints one JSON object per reply, for programs."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def thinking(self) -> None:
        pass

    def piece(self, text: str) -> None:
        pass

    def reply(self, reply: Reply, seconds: Seconds) -> None:
        self._write(reply, self._out, seconds)

    def recovered(self, reply: Reply) -> None:
        """Goes to standard error: standard output has exactly one object per line of input."""
        self._write(reply, sys.stderr, None)

    def converting(self, done: int, total: int) -> None:
        pass

    def _write(self, reply: Reply, out: TextIO, seconds: Seconds | None) -> None:
        row = {
            "reply": reply.text,
            "mood": label_row(reply.mood) if reply.mood else None,
            "source": reply.source,
            "finish": reply.finish,
            "error": reply.error or None,
            "usage": asdict(reply.usage),
            "seconds": asdict(seconds) if seconds else None,
        }
        print(json.dumps(row, ensure_ascii=False), file=out, flush=True)


def label_row(found: Mood | IntentReading) -> dict[str, str | float]:
    """A mood or an intent as a JSON value."""
    return {"label": found.label, "confidence": round(found.confidence, 4)}


def _mark(reply: Reply) -> str:
    """What is added to a reply: the emoji of its mood if it is shown, and below it what it cites."""
    emoji, cites = face(reply), reply.cites and f"\n{reply.cites}"
    return ((" " if ends_in_words(reply.text) else "\n") + emoji if emoji else "") + cites
