"""The `parley` command. Each command reads the settings, and leaves the rest to the module that knows how."""

import asyncio
import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn, TypeAlias

import typer

from bots.console import run_console
from bots.exits import one_line_errors
from bots.export import export as write_export
from bots.logs import configure_logs
from bots.moods import run_moods
from config.load import load_settings
from config.options import model_child

app = typer.Typer(
    help="Parley, a chatbot that thinks on the CPU it runs on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model = typer.Typer(help="Fetch models.", no_args_is_help=True)
app.add_typer(model, name="model")

ConfigFile: TypeAlias = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings to use instead of ./parley.toml.")
]
User: TypeAlias = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="Who is talking; each has a history of their own.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def main() -> None:
    with one_line_errors():
        app(prog_name="parley")


@app.command()
def run(config: ConfigFile = None) -> None:
    """Run the bot: every platform that has a token, until told to stop."""
    load_settings(config)  # what is wrong with them is said at once
    _become("bots.run", *([str(config)] if config else []))


@app.command()
def export(config: ConfigFile = None) -> None:
    """Print all messages, answers and votes, one JSON object a line."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(write_export(settings, sys.stdout))


@app.command()
def check(config: ConfigFile = None) -> None:
    """Say what is what: settings, folders, store and model; or the first thing wrong."""
    _become("bots.check", *([str(config)] if config else []))


@app.command()
def chat(*, user: User = None, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Talk here: at the terminal, or a line a message through a pipe."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(run_console(settings, user=user or getpass.getuser(), as_json=as_json))


@app.command()
def mood(*, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Read lines and say the mood of each."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(run_moods(settings, as_json=as_json))


@app.command(context_settings=PASS_ON, add_help_option=False)
def serve_model(context: typer.Context, config: ConfigFile = None) -> None:
    """Serve the model to others over HTTP, as OpenAI chat completions; has options of its own."""
    _become("core.inference", *model_child(load_settings(config)).options(), *context.args)


@model.command()
def pull(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="For example Qwen/Qwen2.5-0.5B-Instruct.")],
    config: ConfigFile = None,
) -> None:
    """Fetch a model from Hugging Face into the data folder."""
    _become("bots.model", model_id, str(load_settings(config).data_dir))


def _become(module: str, *arguments: str) -> NoReturn:
    """Go on as another program. What it imports is never part of this one.

    -P: a folder named "core" where Parley is started must not be taken for ours.
    """
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606  no shell is wanted
