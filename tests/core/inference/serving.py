"""The real server on a real Unix socket, and control over the steps of its model."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import uvicorn
from starlette.types import ASGIApp

from core.clock import ManualClock
from core.inference.api.server import ServerOptions, create_app
from core.inference.api.sockets import unix_socket
from core.inference.arrays import Floats
from core.inference.batching.loop import Loop, running
from core.inference.batching.network import Network
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler, Step
from core.inference.loader import LoadedModel
from tests.core.inference.options import batch_limits

T = TypeVar("T")


class Steered:
    """A network with hooks: `before` and `after` are called around each forward pass."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[Floats], object]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  any member of Network
        return getattr(self.network, name)

    def run(self, step: Step) -> Floats:
        if not step.chunks:
            return self.network.run(step)
        for hook in self.before:
            hook()
        logits = self.network.run(step)
        for hook_after in self.after:
            hook_after(logits)
        return logits


@contextmanager
def hooked(hooks: list[T], hook: T) -> Iterator[None]:
    hooks.append(hook)
    try:
        yield
    finally:
        hooks.remove(hook)


class Gate:
    """Counts forward passes and blocks each of them until it is allowed."""

    def __init__(self) -> None:
        self.steps = 0
        self._permits = threading.Semaphore(0)

    def allow(self, steps: int) -> None:
        for _ in range(steps):
            self._permits.release()

    def open(self) -> None:
        self.allow(1000)

    @contextmanager
    def on(self, network: Network) -> Iterator["Gate"]:
        assert isinstance(network, Steered)
        with hooked(network.before, self._enter):
            try:
                yield self
            finally:
                self.open()

    def _enter(self) -> None:
        self.steps += 1
        self._permits.acquire()


@contextmanager
def forcing(network: Network, ids: Sequence[int]) -> Iterator[None]:
    """Makes the model assign the given ids, one per row of logits, by far the highest logit."""
    assert isinstance(network, Steered)
    left = list(ids)

    def force(logits: Floats) -> None:
        for row in logits:
            row[:] = np.where(np.arange(len(row)) == left.pop(0), 50.0, 0.0)

    with hooked(network.after, force):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running server and a client for it."""

    path: Path
    loop: Loop
    client: httpx.Client
    clock: ManualClock = field(default_factory=ManualClock)

    def ask(self, text: object = "hello", /, **options: object) -> httpx.Response:
        return self.client.post("/v1/chat/completions", json=body(text, **options))

    def stream(self, text: object = "hello", /, **options: object) -> AbstractContextManager[httpx.Response]:
        return self.client.stream("POST", "/v1/chat/completions", json=body(text, stream=True, **options))

    def when(self, running: int, waiting: int = 0) -> "Running":
        """Poll /health until this many sequences run and wait."""
        expected = {"status": "ok", "running": running, "waiting": waiting}
        while self.client.get("/health").json() != expected:
            pass
        return self


def body(text: object = "hello", /, **options: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 8, **options}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The chunks of a stream, which must end with [DONE]."""
    lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@contextmanager
def serving(
    model: LoadedModel,
    path: Path,
    *,
    limits: Limits | None = None,
    options: ServerOptions | None = None,
    gate: Gate | None = None,
    on_crash: Callable[[], None] = lambda: None,
) -> Iterator[Running]:
    """Run the server on a thread, put together as in its own process."""
    clock = ManualClock()
    cache = PrefixCache(model.network.blocks, reuse=model.network.supports_prefix_cache)
    runner, scheduler = Runner(model.network, model.allowed), Scheduler(limits or batch_limits(), cache)
    loop = Loop(runner, scheduler, model.vocabulary, model.eos_ids, clock)
    numbers = count()
    app = create_app(model, loop, options or ServerOptions(), entropy=lambda _: next(numbers), clock=clock)
    with ExitStack() as stack:
        stack.enter_context(running(loop, on_crash))
        bound = stack.enter_context(unix_socket(path))
        bound.listen()
        stack.enter_context(answering(app, bound))
        if gate:
            stack.enter_context(gate.on(model.network))
        client = stack.enter_context(httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x"))
        yield Running(path=path, loop=loop, client=client, clock=clock)


@contextmanager
def answering(app: ASGIApp, bound: socket.socket) -> Iterator[None]:
    """Run the application on a thread."""
    server = uvicorn.Server(
        uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
