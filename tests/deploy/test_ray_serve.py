"""The Ray Serve application, as `serve run` starts it: two replicas with the embedded model."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("ray", reason="needs the extra: pip install 'ray[serve]>=2.60'")
pytestmark = pytest.mark.long
KEY = "a key of the test"
START_SECONDS = 120
DEPLOYED = ": 2 replicas, "
"""Ray's log says so of the ring by which sessions are divided."""
SHARED = 20
"""Tokens of the instructions, which all sessions share, at most."""
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="module")
def replicas(folder: Path) -> Iterator[httpx.Client]:
    """A client of an application with two replicas."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = {"data_dir": str(folder), "threads": 1, "min_replicas": 2, "max_replicas": 2}
    application = {"import_path": "deploy.ray_serve:application", "args": arguments, "route_prefix": "/"}
    config = {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [{"name": "parley"} | application]}
    (folder / "serve.yaml").write_text(json.dumps(config))
    command = (str(Path(sys.executable).with_name("serve")), "run", "--app-dir", str(REPOSITORY), "serve.yaml")
    environment = os.environ | {"PARLEY_SERVER_KEY": KEY, "RAY_USAGE_STATS_ENABLED": "0"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        ) as client,
    ):
        try:
            _until_deployed(folder / "log")
            yield client
        finally:
            process.send_signal(signal.SIGINT)


def test_conversation_finds_its_prefix_cache(replicas: httpx.Client) -> None:
    """With a session's id each turn after the first finds the text of the one before."""
    for session in "abcdefgh":
        first, second = _cached(replicas, session), _cached(replicas, session)
        assert second > first


def test_all_replicas_forget(replicas: httpx.Client) -> None:
    """After /forget nothing of any conversation is cached but the instructions that all share."""
    sessions = "stuvwxyz"
    for session in sessions:
        assert _cached(replicas, session) < _cached(replicas, session)
    replicas.post("/forget", json={"users": list(sessions)}).raise_for_status()
    assert all(_cached(replicas, session) <= SHARED for session in sessions)


def test_needs_its_key(replicas: httpx.Client) -> None:
    """Requests without the key are refused by each route."""
    for path in ("/v1/models", "/metrics"):
        assert replicas.get(path, headers={"Authorization": ""}).status_code == 401
    assert replicas.post("/forget", json={"users": ["a"]}, headers={"Authorization": ""}).status_code == 401


def test_stops_with_its_client(replicas: httpx.Client) -> None:
    """A reply whose client hangs up is not generated to its end."""
    body = _body("gone", max_tokens=1500) | {"stream": True, "temperature": 2.0}
    with replicas.stream("POST", "/v1/chat/completions", json=body) as response:
        next(response.iter_raw())
    deadline = time.monotonic() + 5
    while any(replicas.get("/health").json()["running"] for _ in range(8)):
        assert time.monotonic() < deadline


def test_replaces_a_dead_server(replicas: httpx.Client, folder: Path) -> None:
    """A replica whose model server was killed is replaced, and requests are answered again."""
    killed, *others = _servers(folder)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + START_SECONDS
    while True:
        answers = [replicas.post("/v1/chat/completions", json=_body(str(each))) for each in range(16)]
        servers = _servers(folder)
        if all(answer.is_success for answer in answers) and len(servers) == 2 and set(servers) > set(others):
            return
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _servers(folder: Path) -> list[int]:
    """Processes of model servers with this data folder."""
    commands = {path.parent.name: path.read_bytes().split(b"\0") for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [int(pid) for pid, command in commands.items() if {b"core.inference", bytes(folder)} <= set(command)]


def _until_deployed(log: Path) -> None:
    """Wait until sessions are divided among all replicas: the first one answers before the others are there."""
    deadline = time.monotonic() + START_SECONDS
    while DEPLOYED not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def _body(session: str, *, max_tokens: int = 4) -> dict[str, object]:
    words = [{"role": "system", "content": "You are friendly."}, {"role": "user", "content": f"{session} hello " * 30}]
    return {"user": session, "messages": words, "max_tokens": max_tokens}


def _cached(client: httpx.Client, session: str) -> int:
    """Tokens of the prompt that were found in the prefix cache."""
    answer = client.post("/v1/chat/completions", json=_body(session), headers={"x-session-id": session})
    cached: int = answer.raise_for_status().json()["usage"]["prompt_tokens_details"]["cached_tokens"]
    return cached
