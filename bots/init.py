"""`parley init`: ask for tokens and a model, check them, and write parley.toml. Run as `python -m bots.init`.

It is a program of its own, since it imports the platforms and the hubs. Tokens come from the terminal or from files:
arguments stand in the list of processes, which everybody may read.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Self, TypeAlias

import typer

from bots.check import check_one
from bots.exits import one_line_errors
from bots.hubs.hub import ADDRESSES, Hub, Source
from bots.interview import Interview
from bots.model import open_hub, pull
from bots.proxies import proxies_of
from bots.terminal import terminal_locale
from config.load import config_path, environment_settings, with_values
from config.save import save_settings
from config.settings import Settings
from core.errors import ConfigError, ModelError, ModelMissing
from core.models import EMBEDDED, HubName, find_model, hub_name

EXAMPLE = "Qwen/Qwen2.5-0.5B-Instruct"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Secret: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="File that holds it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What has been chosen so far: all settings with it, and what of it is written, by key."""

    settings: Settings
    written: Mapping[str, str]

    def plus(self, section: str, **values: str) -> Self:
        """Raises ConfigError if a value is not one of its setting."""
        given = {name: value for name, value in values.items() if value}
        return type(self)(
            settings=with_values(self.settings, section, **values),
            written={**self.written, **{f"{section}.{name}": value for name, value in given.items()}},
        )


@app.command()
def main(  # noqa: PLR0913  one argument for each option of the command line
    *,
    telegram_token_file: Secret = None,
    slack_bot_token_file: Secret = None,
    slack_app_token_file: Secret = None,
    model: Annotated[
        str | None, typer.Option(help='"mini", a name to download, a folder, a GGUF file, or a server\'s URL.')
    ] = None,
    model_key_file: Secret = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: replace the file, download the model, skip the rest.")
    ] = False,
    source: Annotated[Source, typer.Option(help="Hub to download a model from.")] = Source.HUGGING_FACE,
    endpoint: Annotated[str, typer.Option(metavar="URL", help="Mirror of that hub.")] = "",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write, instead of ./parley.toml.")
    ] = None,
) -> None:
    """Ask for tokens and a model, check them, and write parley.toml."""
    secrets = {
        "telegram.token": telegram_token_file,
        "slack.bot_token": slack_bot_token_file,
        "slack.app_token": slack_app_token_file,
        "engine.api_key": model_key_file,
    }
    given = {key: _read(file) for key, file in secrets.items() if file} | ({"engine.model": model} if model else {})
    interview = Interview(given, terminal_locale() or "en", attending=sys.stdin.isatty(), always_yes=yes)
    settings = environment_settings()
    os.environ.update(proxies_of(settings.network).variables(endpoint or ADDRESSES[source]))
    set_up(interview, settings, config_path(config), open_hub(source, endpoint))


def set_up(interview: Interview, settings: Settings, file: Path, hub: Hub) -> None:
    """Ask, check, and write the file. Raises ConfigError if nobody is there to correct an answer."""
    interview.greet(file)
    if file.exists() and not interview.agrees("exists", default=False, file=file):
        raise ConfigError(str(file), "exists already, and stays as it is")
    chosen = Chosen(settings=settings, written={})
    for ask in (_telegram, _slack, partial(_model, hub=hub)):
        chosen = _until_good(ask, interview, chosen)
    save_settings(file, chosen.written)
    interview.tell("written", file=file)
    _tell_next(interview, chosen.settings)


def _until_good(ask: Callable[[Interview, Chosen], Chosen], interview: Interview, chosen: Chosen) -> Chosen:
    """Ask until the answer passes its check, or is skipped."""
    while True:
        try:
            return ask(interview, chosen)
        except ConfigError as error:
            interview.complain(error)


def _telegram(interview: Interview, chosen: Chosen) -> Chosen:
    token = interview.answer("telegram.token", secret=True)
    return _checked("telegram", interview, chosen.plus("telegram", token=token)) if token else chosen


def _slack(interview: Interview, chosen: Chosen) -> Chosen:
    bot_token = interview.answer("slack.bot_token", secret=True)
    if not bot_token:
        return chosen
    app_token = interview.answer("slack.app_token", secret=True)
    if not app_token:
        interview.tell("slack_needs_both")
        return chosen
    return _checked("slack", interview, chosen.plus("slack", bot_token=bot_token, app_token=app_token))


def _model(interview: Interview, chosen: Chosen, hub: Hub) -> Chosen:
    answer = interview.answer("engine.model", default=EMBEDDED, example=EXAMPLE)
    if "://" in answer:
        key = interview.answer("engine.api_key", secret=True)
        return _checked("engine.model", interview, chosen.plus("engine", url=answer, api_key=key))
    path = Path(answer).expanduser()
    named = chosen.plus("engine", model=str(path.absolute()) if path.exists() else answer)
    lacking = _lacking(named.settings)
    if lacking and not interview.agrees("pull", default=True, model=answer):
        return named
    if lacking:
        _pull(lacking, named.settings, hub)
    return _checked("engine.model", interview, named)


def _checked(key: str, interview: Interview, chosen: Chosen) -> Chosen:
    with interview.checking():
        found = check_one(key, chosen.settings)
    interview.tell("good", what=f"{found.key}: {found.text}")
    return chosen


def _lacking(settings: Settings) -> HubName | None:
    """The model on a hub that is configured and not here."""
    try:
        find_model(settings.engine.model, settings.data_dir)
    except ModelMissing:
        return hub_name(settings.engine.model)
    return None


def _pull(wanted: HubName, settings: Settings, hub: Hub) -> None:
    try:
        pull(wanted.model_id, settings.data_dir, hub, wanted.file)
    except ModelError as error:
        raise ConfigError("engine.model", str(error)) from error


def _tell_next(interview: Interview, settings: Settings) -> None:
    if not settings.engine.url and (lacking := _lacking(settings)):
        interview.tell("next", command=lacking.command)
    elif settings.telegram.token.get_secret_value() or settings.slack.bot_token.get_secret_value():
        interview.tell("next_run", command="parley run")
    else:
        interview.tell("next", command="parley chat")


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(str(file), error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise ConfigError(str(file), "is not text") from None


if __name__ == "__main__":
    with one_line_errors():
        app(prog_name="parley init")
