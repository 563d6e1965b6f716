"""Servers of chat completions with the same model: ours, and llama.cpp's own."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from benchmarks.figures import Absent
from benchmarks.rig import CACHE, Rig
from benchmarks.sides import ROOT

HOST = "127.0.0.1"
ROWS = 8
CONTEXT = 2048
"""Tokens of prompt and reply for each row."""

START_SECONDS = 120
LOG = CACHE / "server.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    url: str
    pid: int


@contextmanager
def parley_server(rig: Rig) -> Iterator[Server]:
    """`python -m core.inference`."""
    port = _free_port()
    options = ["--model", rig.model, "--threads", rig.threads, "--max-batch", ROWS, "--dtype", rig.dtype]
    command = [sys.executable, "-m", "core.inference", *options, "--max-context", CONTEXT, "--port", port]
    with _running(command, rig.ours, port) as server:
        yield server


@contextmanager
def llama_server(rig: Rig) -> Iterator[Server]:
    """llama.cpp's server: continuous batching, a slot with its prompt cache for each row."""
    port = _free_port()
    threads = ["--threads", rig.threads, "--threads-batch", rig.threads]
    rows = ["--parallel", ROWS, "--ctx-size", ROWS * CONTEXT]
    command = [rig.llama_server, "--model", rig.gguf, *threads, *rows, "--host", HOST, "--port", port]
    with _running(command, rig.environment, port) as server:
        yield server


@contextmanager
def _running(command: Sequence[object], environment: Mapping[str, str], port: int) -> Iterator[Server]:
    with LOG.open("w") as log:
        process = subprocess.Popen([*map(str, command)], cwd=ROOT, env=environment, stdout=log, stderr=log)
    with process:
        try:
            _wait(process, port)
            yield Server(url=f"http://{HOST}:{port}", pid=process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://{HOST}:{port}/health").status_code == HTTPStatus.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise Absent(f"did not start, see {LOG.relative_to(ROOT)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
