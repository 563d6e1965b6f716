"""The model server as a Ray Serve application: replicas that Ray starts, watches and multiplies.

    pip install 'ray[serve]>=2.60'
    PARLEY_SERVER_KEY=... serve run deploy.ray_serve:application model=Qwen/Qwen2.5-0.5B-Instruct

Each replica runs a model server as a child process and passes requests on to it. `x-session-id`, which the gateway
sends, chooses the replica by consistent hashing, so that a conversation finds its prefix cache. All replicas forget
what is to be forgotten.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import httpx
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bots.serve import KEY
from core.body import read_body
from core.engine.child import SERVER, ModelChild, new_socket_path, own_environment, spawn
from core.engine.timings import TIMINGS
from core.engine.wire import FORGOTTEN, encode

NAME: Final = "model"
ROUTER: Final = "ray.serve.experimental.consistent_hash_router:ConsistentHashRouter"
MAX_BODY_BYTES: Final = 1 << 20
PASSED_ON: Final = {"authorization", "content-type", "retry-after"}
"""Headers that a request, or its response, keeps."""
FORGET_SECONDS: Final = 10.0


class Options(BaseModel):
    """Arguments of the application. `threads` are the CPUs of a replica, which generates up to `max_batch` replies at
    once; Ray starts another replica if each has more than that to do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str = "mini"
    data_dir: Path = Path("~/.local/share/parley")
    threads: Annotated[int, Field(ge=1)] = 2
    max_batch: Annotated[int, Field(ge=1)] = 8
    dtype: str = "auto"
    kv_dtype: str = "auto"
    cache_bytes: Annotated[int, Field(ge=1 << 20)] = 512 << 20
    min_replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 4


def application(options: Options) -> serve.Application:
    """What `serve run` deploys."""
    replicas = ModelServer.options(
        autoscaling_config=AutoscalingConfig(
            min_replicas=options.min_replicas,
            max_replicas=options.max_replicas,
            target_ongoing_requests=options.max_batch,
        ),
        max_ongoing_requests=2 * options.max_batch,
        ray_actor_options={"num_cpus": options.threads},
    )
    return replicas.bind(options)


@serve.deployment(
    name=NAME,
    request_router_config=RequestRouterConfig(request_router_class=ROUTER),
    health_check_period_s=5.0,
    health_check_timeout_s=TIMINGS.silence_timeout,
    graceful_shutdown_timeout_s=20.0,
)
class ModelServer:
    """A replica. Its model server ends with it: the child exits once its standard input is closed."""

    async def __init__(self, options: Options) -> None:
        """Raises RuntimeError if the server ends before it is ready; Ray then tries again."""
        self._folders = ExitStack()
        socket_path = new_socket_path(self._folders)
        command = (*SERVER, "--uds", str(socket_path), *_child(options).options(), "--exit-with-parent")
        self._process = await spawn(command, own_environment(KEY))
        transport = httpx.AsyncHTTPTransport(uds=str(socket_path), verify=False)  # a Unix socket has no TLS
        self._server = httpx.AsyncClient(base_url="http://localhost", transport=transport, timeout=httpx.Timeout(None))
        while not await self._is_healthy():
            if self._process.returncode is not None:
                raise RuntimeError(f"the model server ended with {self._process.returncode}")
            await asyncio.sleep(TIMINGS.probe_starting)

    async def check_health(self) -> None:
        """Ray starts a replica anew if this fails. Raises RuntimeError if the model server has ended or hangs."""
        if not await self._is_healthy():
            raise RuntimeError("the model server does not answer")

    async def __call__(self, request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        answered = self._forget if request.url.path == "/forget" else self._relay
        return await answered(request, body)

    async def _forget(self, request: Request, body: bytes) -> Response:
        """Have all replicas forget. One that fails makes it an error, so that the gateway asks again."""
        replicas = serve.get_deployment_handle(NAME, serve.get_replica_context().app_name)
        asked = replicas.broadcast("forget_here", body, _passed_on(request.headers))
        answers = await asked.results_async(timeout_s=FORGET_SECONDS)
        refused = [(status, text) for status, text in answers if status != HTTPStatus.OK]
        if refused:
            status, text = refused[0]
            return Response(text, status, media_type="application/json")
        blocks = sum(FORGOTTEN.validate_json(text).forgotten_blocks for _, text in answers)
        return Response(encode({"forgotten_blocks": blocks}), media_type="application/json")

    async def forget_here(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        answer = await self._server.post("/forget", content=body, headers=headers)
        return answer.status_code, answer.content

    async def _relay(self, request: Request, body: bytes) -> Response:
        """Pass a request on. The model stops as soon as the client has gone."""
        passed = self._server.build_request(
            request.method, request.url.path, content=body, headers=_passed_on(request.headers)
        )
        try:
            answer = await self._server.send(passed, stream=True)
        except httpx.HTTPError:
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        return StreamingResponse(_pieces(answer), answer.status_code, _passed_on(answer.headers))

    async def _is_healthy(self) -> bool:
        try:
            answer = await self._server.get("/health", timeout=TIMINGS.probe_timeout)
        except httpx.HTTPError:
            return False
        return answer.is_success


def _child(options: Options) -> ModelChild:
    return ModelChild(
        data_dir=options.data_dir.expanduser(),
        model=options.model,
        threads=options.threads,
        max_batch=options.max_batch,
        dtype=options.dtype,
        kv_dtype=options.kv_dtype,
        cache_bytes=options.cache_bytes,
        memory_bytes=0,
    )


def _passed_on(headers: httpx.Headers | Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in PASSED_ON}


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    async with aclosing(answer.aiter_raw()) as pieces:
        async for piece in pieces:
            yield piece
