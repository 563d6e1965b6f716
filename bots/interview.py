"""Questions to the person who sets Parley up. The command line may have answered some already."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from core.errors import ConfigError
from core.i18n import say
from core.messages import Locale

PLATFORMS: Mapping[str, str] = {"telegram.token": "Telegram", "slack.bot_token": "Slack", "slack.app_token": "Slack"}
"""The platforms that may refuse a token, by its key."""


class Interview:
    """Answers by the keys of their settings: the `given` ones, else those of a person, if one is `attending`.

    With `always_yes` nothing is asked.
    """

    def __init__(self, given: Mapping[str, str], locale: Locale, *, attending: bool, always_yes: bool) -> None:
        self._given = dict(given)
        self._answered: list[str] = []
        self._locale = locale
        self._asks = attending and not always_yes
        self._always_yes = always_yes

    def greet(self, file: Path) -> None:
        """Say what happens, if there is a person to hear it."""
        if self._asks:
            self.tell("welcome", file=file)

    def answer(self, key: str, *, default: str = "", secret: bool = False, **values: object) -> str:
        """The answer to the question for a setting; `default` if it is skipped."""
        self._answered.append(key)
        if key in self._given or not self._asks:
            return self._given.get(key, default)
        question = say(self._locale, f"init.{key.replace('.', '_')}", **values)
        return str(typer.prompt(question, default=default, hide_input=secret, show_default=bool(default))).strip()

    def agrees(self, question: str, *, default: bool, **values: object) -> bool:
        """Whether the person says yes."""
        return typer.confirm(self._words(question, values), default=default) if self._asks else self._always_yes

    def tell(self, sentence: str, **values: object) -> None:
        typer.echo(self._words(sentence, values))

    def complain(self, error: ConfigError) -> None:
        """Say in one line what is wrong with an answer, so that it can be given again.

        Raises the error if there is no person to do so.
        """
        if not self._asks:
            raise error
        for key in self._answered:
            self._given.pop(key, None)
        if platform := PLATFORMS.get(error.key):
            self.tell("token_refused", platform=platform)
        else:
            self.tell("fault", reason=" ".join(str(error).split()))

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Shows on a terminal that a check takes a while."""
        with Console(stderr=True).status(self._words("checking", {})):
            yield

    def _words(self, sentence: str, values: Mapping[str, object]) -> str:
        return say(self._locale, f"init.{sentence}", **values)
