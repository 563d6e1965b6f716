"""`parley check`: check settings, folders, store, model and platforms, and report the first fault."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeAlias

import typer

from bots.exits import one_line_errors
from bots.fronts import FrontEnd
from bots.proxies import ENVIRONMENT, proxies_of
from bots.slack.adapter import open_slack
from bots.stores import has_store
from bots.telegram.adapter import open_telegram
from config.load import load_settings
from config.options import help_desk, model_servers, openai_server
from config.personas import load_persona
from config.servers import ServerEntry
from config.settings import Settings
from core.clock import SystemClock
from core.engine.openai import OpenAIEngine
from core.errors import ConfigError, EngineError, KnowledgeUnusable, ModelError, NoKernels, StoreError
from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.choice import known_choice
from core.inference.hardware import cores
from core.inference.native.library import open_kernels
from core.inference.networks.installed import UNKNOWN_ARCHITECTURE, require_transformers
from core.inference.weights.precision import Precision
from core.inference.weights.shape import Shape, lean_shape
from core.inference.weights.store import quantised_folder
from core.knowledge.folder import read_sources
from core.knowledge.readers import read_passages
from core.models import find_model
from core.prompt import ChatMessage
from core.store import dead_letters, open_store

Check: TypeAlias = Callable[[Settings], str]
GREETING = (ChatMessage(role="user", content="Hi"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A check that passed: the setting that it checks, and the value found."""

    key: str
    text: str


def main(config: Annotated[Path | None, typer.Argument()] = None) -> None:
    """Entry point of `python -m bots.check`: print a line for each finding."""
    with one_line_errors():
        for finding in list(check_all(load_settings(config))):
            typer.echo(f"{finding.key:<13} {finding.text}")


def check_all(settings: Settings) -> Iterator[Finding]:
    """A finding for each check. Raises ConfigError at the first fault, with the setting to correct."""
    return (check_one(key, settings) for key in CHECKS)


def check_one(key: str, settings: Settings) -> Finding:
    """The finding of one check. Raises ConfigError."""
    try:
        return Finding(key=key, text=CHECKS[key](settings))
    except (KnowledgeUnusable, ModelError, StoreError) as error:
        raise ConfigError(key, str(error)) from error
    except OSError as error:
        raise ConfigError(key, f"{error.filename}: {error.strerror}") from error


def check_persona(settings: Settings) -> str:
    return load_persona(settings.chat.persona).name


def check_locale(settings: Settings) -> str:
    return "each person's own language" if settings.chat.locale == "auto" else settings.chat.locale


def check_knowledge(settings: Settings) -> str:
    """The files of the knowledge. They are read, and not indexed."""
    folder = settings.knowledge.folder
    return "none" if folder is None else f"{len(read_passages(read_sources(folder)))} passages"


def check_handoff(settings: Settings) -> str:
    desk = help_desk(settings)
    return f"{desk.place.platform} {desk.place.chat}, operators: {', '.join(sorted(desk.operators))}" if desk else "off"


def check_data_dir(settings: Settings) -> str:
    """The data folder. It need not exist, but must be possible to create and write."""
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise ConfigError("data_dir", f"{existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError("data_dir", f"{existing} is not writable")
    return str(folder) if existing == folder else f"{folder} (made on first use)"


def check_store(settings: Settings) -> str:
    """The database, with its dead letters. An existing one is opened, which also migrates it; a missing file is not
    created.
    """
    name = settings.store_name
    if not has_store(settings):
        return f"{name} (made on first use)"
    dead = asyncio.run(_open_and_migrate(settings.store_url))
    return f"{name}, dead letters: {', '.join(map(str, dead))} (parley retry-dead)" if dead else name


def check_model(settings: Settings) -> str:
    if settings.engine.url:
        return asyncio.run(_check_servers(settings))
    path = find_model(settings.engine.model, settings.data_dir)
    computed_by = _compute_path(open_checkpoint(path), settings)
    return f"{settings.engine.model} ({path}), {computed_by}, {_batching(settings)}"


def _compute_path(checkpoint: Checkpoint, settings: Settings) -> str:
    """The code that will compute the model on this machine, and in which precision. Kernels that are compiled to find
    out are not kept.

    Raises TransformersMissing if there is none.
    """
    path, dtype, shape = str(checkpoint.path), settings.engine.dtype, lean_shape(checkpoint.config)
    if shape is None:
        require_transformers(path, UNKNOWN_ARCHITECTURE)
        return f"transformers (no lean decoder for its architecture), dtype {dtype}"
    try:
        with TemporaryDirectory() as folder_of_kernels:
            level = open_kernels(Path(folder_of_kernels)).level
    except NoKernels as error:
        require_transformers(path, f"there are no kernels ({error.reason})")
        return f"transformers, several times slower (no kernels: {error.reason}), dtype {dtype}"
    return f"{level} kernels, dtype {_precision(checkpoint, shape, settings)}"


def _precision(checkpoint: Checkpoint, shape: Shape, settings: Settings) -> str:
    """The precision of the lean decoder, and why "auto" comes to it."""
    if Precision(settings.engine.dtype) is not Precision.AUTO:
        return settings.engine.dtype
    choice = known_choice(checkpoint, shape, quantised_folder(settings.data_dir))
    return f"{choice.dtype} ({choice.reason})" if choice else "int4 or int8 (measured at the first start)"


def _batching(settings: Settings) -> str:
    engine = settings.engine
    return f"kv_dtype {engine.kv_dtype}, {engine.threads or cores()} threads, {engine.max_batch} at a time"


async def _open_and_migrate(url: str) -> tuple[int, ...]:
    """The ids of the dead letters in the store."""
    async with open_store(url) as store:
        return await store.run(dead_letters.listed)


async def _check_servers(settings: Settings) -> str:
    """The model at `engine.url`, and the servers. All are asked at once.

    Raises ConfigError if one gives no answer, unless it is drained, or if they serve different models.
    """
    servers = model_servers(settings.engine)
    answers = await asyncio.gather(*(_generate_token(settings, server) for server in servers), return_exceptions=True)
    models, listed = dict[str, str](), list[str]()
    for server, answer in zip(servers, answers, strict=True):
        if isinstance(answer, str):
            listed.append(str(server))
            models |= {answer: server.name} if server.weight else {}
        elif isinstance(answer, ConfigError) and not server.weight:
            listed.append(f"{server} ({answer.reason})")
        else:
            raise answer
    if len(models) > 1:
        told = ", ".join(f"{model} at {name}" for model, name in models.items())
        raise ConfigError("engine.url", f"the servers serve different models: {told}")
    return f"{', '.join(models)} at {', '.join(listed)}"


async def _generate_token(settings: Settings, server: ServerEntry) -> str:
    """The model's name at a server. One token is generated, to check address, key and name. Raises ConfigError."""
    seconds = settings.chat.total_timeout
    engine = OpenAIEngine(openai_server(settings.engine, server.url, proxy=ENVIRONMENT.url_of(server.url)))
    try:
        async with asyncio.timeout(seconds), engine.stream(GREETING, max_tokens=1) as pieces:
            async for _ in pieces:
                pass
        return await engine.identity()
    except TimeoutError:
        raise ConfigError("engine.url", f"no answer from {server.name} within {seconds:g} s") from None
    except EngineError as error:
        reason = str(error) or type(error).__name__
        raise ConfigError("engine.url", f"no good answer from {server.name}: {reason}") from None


def check_proxy(settings: Settings) -> str:
    """The proxies on the way to the platforms, without their passwords."""
    found = map(proxies_of(settings.network).of, (settings.telegram.base_url, settings.slack.base_url))
    return ", ".join(dict.fromkeys(str(proxy or "none") for proxy in found))


def check_telegram(settings: Settings) -> str:
    if not settings.telegram.token.get_secret_value():
        return "off"
    return asyncio.run(_who(open_telegram(settings.telegram, SystemClock(), proxies=proxies_of(settings.network))))


def check_slack(settings: Settings) -> str:
    if not settings.slack.bot_token.get_secret_value():
        return "off"
    shared, proxies = settings.history.is_shared, proxies_of(settings.network)
    return asyncio.run(_who(open_slack(settings.slack, SystemClock(), shared_history=shared, proxies=proxies)))


def check_access(settings: Settings) -> str:
    return ", ".join(settings.access.allow) or "nobody yet, except at the console"


async def _who(opening: AbstractAsyncContextManager[FrontEnd]) -> str:
    """The bot's name. Raises ConfigError, and not in the group of a front end's tasks."""
    async with opening as front:
        try:
            return await front.who()
        except ConfigError as error:
            fault = error
    raise fault


CHECKS: dict[str, Check] = {
    "chat.persona": check_persona,
    "chat.locale": check_locale,
    "data_dir": check_data_dir,
    "knowledge.folder": check_knowledge,
    "store.url": check_store,
    "engine.model": check_model,
    "network.proxy": check_proxy,
    "telegram": check_telegram,
    "slack": check_slack,
    "access.allow": check_access,
    "handoff.where": check_handoff,
}


if __name__ == "__main__":
    typer.run(main)
