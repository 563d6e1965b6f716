"""The `parley` command line. Each command loads the settings and calls the module that implements it."""

import asyncio
import getpass
import os
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn, TypeAlias

import typer

from bots.backup import back_up
from bots.backup import restore as restore_backup
from bots.console import run_console
from bots.dead_letters import retry_dead as reopen
from bots.exits import one_line_errors, utf8_output
from bots.export import export as write_export
from bots.hubs.hub import ADDRESSES, Source
from bots.keys import add as add_a_key
from bots.keys import list_keys
from bots.keys import revoke as revoke_a_key
from bots.knowledge import add_file, check_files, list_files, print_gaps, search_files
from bots.logs import configure_logs
from bots.moods import run_moods
from bots.moving import copy as copy_database
from bots.password import ask_password, change_password, remove_password
from bots.proxies import proxies_of
from bots.report import report as report_outcomes
from bots.report import report_as_csv, seconds_of
from config.load import load_settings
from config.options import model_child
from core.keys import Scope

app = typer.Typer(
    help="Parley, a self-hosted chatbot for Telegram and Slack that runs its model on the CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model = typer.Typer(help="Download models.", no_args_is_help=True)
app.add_typer(model, name="model")
knowledge = typer.Typer(help="Search the documents and answers in knowledge.folder.", no_args_is_help=True)
app.add_typer(knowledge, name="knowledge")
key = typer.Typer(help="Keys of programs that use the HTTP interface.", no_args_is_help=True)
app.add_typer(key, name="key")
store = typer.Typer(help="Move the database between a file and a PostgreSQL server.", no_args_is_help=True)
app.add_typer(store, name="store")

ConfigFile: TypeAlias = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration file, instead of ./parley.toml.")
]
User: TypeAlias = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="Name of the person; each has a separate history.")
]
Address: TypeAlias = Annotated[
    str, typer.Argument(metavar="DATABASE", help="Path, sqlite:///PATH, postgresql://..., or store.url as configured.")
]
KeyName: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="What the key is for, such as shop.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
FORWARD_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _span(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def main() -> None:
    with one_line_errors():
        app(prog_name="parley")


@app.command(context_settings=FORWARD_ARGUMENTS, add_help_option=False)
def init(context: typer.Context) -> None:
    """Set Parley up: ask for tokens and a model, check them, and write parley.toml."""
    _replace_process("bots.init", *context.args)


@app.command()
def run(config: ConfigFile = None) -> None:
    """Run the bot on every platform that has a token."""
    load_settings(config)  # so that a bad setting is reported before the slow start
    _replace_process("bots.run", *([str(config)] if config else []))


@app.command()
def export(config: ConfigFile = None) -> None:
    """Print all messages, answers and votes, one JSON object per line."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    utf8_output()
    asyncio.run(write_export(settings, sys.stdout))


@app.command()
def report(
    *,
    since: Annotated[float, typer.Option(parser=_span, metavar="SPAN", help="36h, 7d or 4w.")] = "7d",  # type: ignore[assignment]  # is parsed
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each day, in UTC.")] = False,
    config: ConfigFile = None,
) -> None:
    """Print what became of the questions: cases resolved, handed over, reopened, waits, thumbs and gaps."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    print_report = report_as_csv if as_csv else report_outcomes
    asyncio.run(print_report(settings, since, time.time(), sys.stdout))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file for the backup.")], config: ConfigFile = None
) -> None:
    """Copy the database to a new file, also while the bot runs."""
    back_up(load_settings(config), file, sys.stdout)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Backup to restore.")], config: ConfigFile = None
) -> None:
    """Replace the database by a backup, while no bot runs. The database is kept beside it."""
    restore_backup(load_settings(config), file, sys.stdout)


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check settings, folders, store, model and platforms, and report the first fault."""
    _replace_process("bots.check", *([str(config)] if config else []))


@app.command()
def retry_dead(
    turn: Annotated[int | None, typer.Argument(metavar="[ID]", help="One of them; all if it is left out.")] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Have dead letters tried again: turns that could be neither answered nor apologised for."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(reopen(settings, turn, sys.stdout))


@app.command()
def password(
    *, off: Annotated[bool, typer.Option("--off", help="Have no password.")] = False, config: ConfigFile = None
) -> None:
    """Set the password of the operator's page at /admin: asked for twice, or the first line of the input."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    if off:
        asyncio.run(remove_password(settings, sys.stdout))
    else:
        asyncio.run(change_password(settings, ask_password(), sys.stdout))


@app.command()
def chat(*, user: User = None, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Chat in the terminal, or through a pipe with one message per line."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    if as_json:
        utf8_output()
    asyncio.run(run_console(settings, user=_readable(user or _own_name()), as_json=as_json))


@app.command()
def mood(
    *,
    intent: Annotated[bool, typer.Option("--intent", help="Print the intent of each line too.")] = False,
    keywords: Annotated[bool, typer.Option("--keywords", help="Print the keywords of each line too.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print the mood of each line of the input."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    if as_json:
        utf8_output()
    asyncio.run(run_moods(settings, as_json=as_json, intent=intent, keywords=keywords))


@app.command(context_settings=FORWARD_ARGUMENTS, add_help_option=False)
def serve_model(context: typer.Context, config: ConfigFile = None) -> None:
    """Serve the model as an OpenAI-compatible HTTP API. Its own options follow."""
    _replace_process("bots.serve", *model_child(load_settings(config)).options(), *context.args)


@model.command()
def pull(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="For example Qwen/Qwen2.5-0.5B-Instruct.")],
    *,
    file: Annotated[str, typer.Option(metavar="NAME.gguf", help="GGUF file to take, instead of safetensors.")] = "",
    source: Annotated[Source, typer.Option(help="Hub to download from.")] = Source.HUGGING_FACE,
    endpoint: Annotated[str, typer.Option(metavar="URL", help="Mirror of that hub.")] = "",
    config: ConfigFile = None,
) -> None:
    """Download a model from Hugging Face or ModelScope into the data folder."""
    settings = load_settings(config)
    os.environ.update(proxies_of(settings.network).variables(endpoint or ADDRESSES[source]))
    _replace_process("bots.model", model_id, str(settings.data_dir), source, endpoint, file)


@knowledge.command(name="list")
def list_knowledge(config: ConfigFile = None) -> None:
    """Print the files with their numbers of answers and sections."""
    list_files(load_settings(config), sys.stdout)


@knowledge.command(name="check")
def check_knowledge(config: ConfigFile = None) -> None:
    """Read and index all files, and report the first fault, with its line."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    check_files(settings, sys.stdout)


@knowledge.command(name="search")
def search_knowledge(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="As a customer would ask it.")],
    config: ConfigFile = None,
) -> None:
    """Print the passages that fit a question best, with scores and thresholds."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    search_files(settings, _readable(question), sys.stdout)


@knowledge.command(name="gaps")
def gaps_of_knowledge(config: ConfigFile = None) -> None:
    """Print questions that were refused, voted down or handed over, and that the files do not answer yet."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    print_gaps(settings, sys.stdout)


@knowledge.command(name="add")
def add_knowledge(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FAQ file or document.")], config: ConfigFile = None
) -> None:
    """Copy a file to the folder, if it can be read."""
    add_file(load_settings(config), file, sys.stdout)


@key.command(name="add")
def add_key(
    name: KeyName,
    *,
    scope: Annotated[list[Scope], typer.Option(default_factory=lambda: [Scope.CHAT], help="What it opens.")],
    per_minute: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Messages of all its people; limits.key_per_minute if not given."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Make a key, and print it. It is stored as a digest only, so nothing prints it again."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(add_a_key(settings, name, frozenset(scope), time.time(), sys.stdout, per_minute))


@key.command(name="list")
def list_all_keys(config: ConfigFile = None) -> None:
    """Print the names of all keys, what they open, their limits, and when they were last used, up to an hour late."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(list_keys(settings, sys.stdout))


@key.command(name="revoke")
def revoke_key(name: KeyName, config: ConfigFile = None) -> None:
    """Have a key open nothing from now on, also while the bot runs."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    asyncio.run(revoke_a_key(settings, _readable(name), time.time(), sys.stdout))


@store.command(name="copy")
def copy_store(source: Address, target: Address, config: ConfigFile = None) -> None:
    """Copy everything from one database into a new one, while no bot runs, and compare both by count and digest."""
    settings = load_settings(config)
    configure_logs(settings.log_level, otherwise="warning")
    copy_database(settings, source, target, sys.stdout)


def _own_name() -> str:
    """The user's name; their number if the machine has no name for it, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _readable(argument: str) -> str:
    """An argument of the command line as UTF-8, whatever the locale."""
    return os.fsencode(argument).decode(errors="replace")


def _replace_process(module: str, *arguments: str) -> NoReturn:
    """Run a module in place of this process, so that its imports cost the other commands nothing.

    -P keeps the working directory off the import path: a folder named "core" there would hide ours.
    """
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606  no shell is wanted
