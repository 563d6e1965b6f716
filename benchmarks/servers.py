"""Servers with OpenAI's chat completions API on the same model: Parley's model server and llama.cpp's server."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from benchmarks.engines import GGUFS, PRECISIONS, Command, Engine
from benchmarks.figures import Unavailable
from benchmarks.processes import CACHE, ROOT, clean_environment, data_dir, wait_or_kill
from benchmarks.rig import Rig
from config.settings import EngineSettings

HOST = "127.0.0.1"
SEQUENCES = 8
"""Sequences that a server decodes at once."""
CONTEXT = 2048
"""Tokens of prompt and reply for each sequence."""

START_SECONDS = 120
LOG = CACHE / "server.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    url: str
    pid: int


@contextmanager
def open_server(rig: Rig, engine: Engine) -> Iterator[Server]:
    """Parley's or llama.cpp's server. Raises Unavailable if it is not installed or does not start."""
    port = free_port()
    command = _parley(rig, PRECISIONS[engine]) if engine in PRECISIONS else _llama(rig, GGUFS[engine])
    with _running([*command.arguments, "--port", port], command.environment, port) as server:
        yield server


def _parley(rig: Rig, precision: str) -> Command:
    """`python -m core.inference`."""
    arguments = [sys.executable, "-m", "core.inference", "--model", rig.model, "--threads", rig.threads]
    arguments += ["--max-batch", SEQUENCES, "--dtype", precision, "--kv-dtype", "auto", "--max-context", CONTEXT]
    arguments += ["--data-dir", data_dir(precision), "--cache-bytes", EngineSettings().cache_bytes]
    return Command(arguments=arguments, environment=clean_environment())


def _llama(rig: Rig, name: str) -> Command:
    """llama.cpp's server: continuous batching, and a slot with a prompt cache for each sequence."""
    arguments = [rig.llama_server, "--model", rig.converted(name), "--host", HOST]
    arguments += ["--threads", rig.threads, "--threads-batch", rig.threads]
    arguments += ["--parallel", SEQUENCES, "--ctx-size", SEQUENCES * CONTEXT]
    return Command(arguments=arguments, environment=rig.environment)


@contextmanager
def _running(command: Sequence[object], environment: Mapping[str, str], port: int) -> Iterator[Server]:
    """A server that answers health checks. Raises Unavailable if it does not start."""
    with LOG.open("w") as log:
        process = subprocess.Popen([*map(str, command)], cwd=ROOT, env=environment, stdout=log, stderr=log)
    with process:
        try:
            _wait_until_healthy(process, port)
            yield Server(url=f"http://{HOST}:{port}", pid=process.pid)
        finally:
            process.terminate()
            wait_or_kill(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://{HOST}:{port}/health").status_code == HTTPStatus.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise Unavailable(f"did not start, see {LOG.relative_to(ROOT)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
