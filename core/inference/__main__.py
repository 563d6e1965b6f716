"""`python -m core.inference`: serve one model over the OpenAI chat completions API."""

import gc
import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import typer
import uvicorn
from starlette.types import ASGIApp

from core.clock import SystemClock
from core.errors import ConfigError, ModelError
from core.inference.api.server import ServerOptions, create_app
from core.inference.api.sockets import is_loopback, tcp_socket, unix_socket
from core.inference.batching.loop import Loop, running
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import MAX_QUEUE, Limits, Scheduler
from core.inference.lean import LoadOptions
from core.inference.loader import LoadedModel, load_model
from core.inference.memory import be_killed_first, generous_limit, limit_memory
from core.inference.weights.precision import KvPrecision, Precision
from core.models import find_model
from core.progress import Progress, unwatched
from core.serving.browsers import OwnSiteOnly
from core.serving.limits import HttpLimits, within_descriptors
from core.serving.listener import Listener
from core.serving.server import BACKLOG, http_server

EX_SOFTWARE, EX_CONFIG = 70, 78
DRAIN_SECONDS = 20
SPARE_CONNECTIONS = 64
KEY = "PARLEY_SERVER_KEY"
log = structlog.get_logger()


def main(  # noqa: PLR0913  one argument for each option of the command line
    *,
    model: Annotated[str, typer.Option(help='"mini", a folder, a GGUF file, or the name of a pulled model.')],
    data_dir: Annotated[Path, typer.Option(help="Folder of pulled models and generated files.")],
    threads: Annotated[int, typer.Option(min=0, help="Compute threads; 0 uses all cores.")],
    max_batch: Annotated[int, typer.Option(min=1, help="Replies generated concurrently.")],
    dtype: Annotated[Precision, typer.Option(help="Data type of the weights.")],
    kv_dtype: Annotated[KvPrecision, typer.Option(help="Data type of the KV cache.")],
    cache_bytes: Annotated[int, typer.Option(min=1, help="Memory for the KV cache, kept prefixes included.")],
    uds: Annotated[Path | None, typer.Option(help="Listen on this Unix socket instead of an address.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    max_queue: Annotated[int, typer.Option(min=0, help="Requests that may wait for the batch.")] = MAX_QUEUE,
    memory_bytes: Annotated[int, typer.Option(min=0, help="Address space of the process; 0 derives it.")] = 0,
    max_context: Annotated[int, typer.Option(min=0, help="Tokens of prompt and reply; 0 is the model's limit.")] = 0,
    health_uds: Annotated[Path | None, typer.Option(help="Listen on this Unix socket too, for the parent.")] = None,
    exit_with_parent: Annotated[bool, typer.Option(help="Exit when standard input is closed.")] = False,
    tell_progress: Annotated[bool, typer.Option(help="Tell the parent how far the weights are quantised.")] = False,
) -> None:
    """Serve one model over the OpenAI chat completions API."""
    _log_to_stderr()
    be_killed_first()
    signal.signal(signal.SIGTERM, _on_sigterm)
    if exit_with_parent:
        threading.Thread(target=_exit_with_parent, args=(uds, health_uds), name="parent", daemon=True).start()
    key = os.environ.get(KEY, "")
    options = LoadOptions(
        precision=dtype, kv_precision=kv_dtype, max_context=max_context, cache_bytes=cache_bytes, threads=threads
    )
    try:
        with ExitStack() as stack:
            bound = [stack.enter_context(unix_socket(uds) if uds else tcp_socket(host, port, key))]
            bound += [stack.enter_context(unix_socket(path)) for path in [health_uds] if path]
            limit_memory(memory_bytes or generous_limit(find_model(model, data_dir), cache_bytes))
            loaded = load_model(model, data_dir, options, _told_progress() if tell_progress else unwatched)
            limits = Limits(
                max_batch=max_batch, max_queue=max_queue, max_speculative_step=loaded.network.max_speculative_step
            )
            with _application(loaded, limits, key) as app:
                listeners = [stack.enter_context(_listening(each)) for each in bound]
                gc.freeze()  # the model lives as long as the process; scanning it again takes as long as a decode step
                log.info("listening", at=listeners[0].getsockname(), **loaded.facts)
                served = app if uds else OwnSiteOnly(app, () if is_loopback(host) else None)  # others need the key
                _server(served, limits).run(sockets=[*listeners])
    except (ModelError, ConfigError) as error:
        _refuse(error)
    except MemoryError:
        _refuse(ConfigError("engine.memory_bytes", "there is too little memory for this model"))


def _told_progress() -> Progress:
    """Writes a line for each new percent, which `core/engine/child.py` reads and which is no log record."""
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done * 100 // total > told:
            told = done * 100 // total
            print(json.dumps({"progress": [done, total]}), file=sys.stderr, flush=True)  # noqa: T201

    return progress


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"parley: {' '.join(str(error).split())}", err=True)
    raise typer.Exit(EX_CONFIG) from None


@contextmanager
def _application(model: LoadedModel, limits: Limits, key: str) -> Iterator[ASGIApp]:
    clock = SystemClock()
    scheduler = Scheduler(limits, PrefixCache(model.network.blocks, reuse=model.network.supports_prefix_cache))
    loop = Loop(Runner(model.network, model.allowed), scheduler, model.vocabulary, model.eos_ids, clock)
    with running(loop, on_crash=_crash):
        yield create_app(model, loop, ServerOptions(key=key), entropy=secrets.randbits, clock=clock)


def _server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """As many connections as requests that may run and wait, and some for health checks. The gateway is one client."""
    requests = limits.max_batch + limits.max_queue
    connections, held_bytes = requests + SPARE_CONNECTIONS, requests * ServerOptions().max_body_bytes
    http_limits = HttpLimits(
        connections=connections,
        connections_per_address=connections,
        held_bytes=held_bytes,
        held_bytes_per_address=held_bytes,
    )
    return http_server(app, within_descriptors(http_limits), SystemClock(), drain_seconds=DRAIN_SECONDS)


def _listening(bound: socket.socket) -> Listener:
    listener = Listener(bound)
    listener.listen(BACKLOG)
    return listener


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def _on_sigterm(*_: object) -> None:
    """Exit with status 0. While it serves, uvicorn handles SIGTERM first: it drains, then raises the signal again."""
    raise SystemExit(0)


def _crash() -> None:
    """Exit at once: a failed step leaves the model in an unknown state. The supervisor starts a new process."""
    os._exit(EX_SOFTWARE)


def _exit_with_parent(uds: Path | None, health_uds: Path | None) -> None:
    """Exit when standard input is closed, which happens even if the parent is killed. Remove the sockets, and the
    folder that the parent has made for the one that it probes, since a killed parent cannot.
    """
    while os.read(sys.stdin.fileno(), 4096):
        pass
    for path in filter(None, (uds, health_uds)):
        with suppress(OSError):
            path.unlink()
    if probed := health_uds or uds:
        with suppress(OSError):
            probed.parent.rmdir()
    os._exit(0)


if __name__ == "__main__":
    typer.run(main)
