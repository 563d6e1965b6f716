"""A client that disconnects stops its sequence: checked over a real socket by counting forward passes."""

import json
import socket
from pathlib import Path

import pytest

from core.inference.loader import LoadedModel
from tests.core.inference.options import batch_limits
from tests.core.inference.serving import Gate, Running, body, serving


def post(path: Path, **options: object) -> socket.socket:
    """Send a request; its connection."""
    content = json.dumps(body(max_tokens=200, **options)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))
    connection.sendall(head.encode() + content)
    return connection


def until_steps(server: Running, gate: Gate, steps: int) -> None:
    while gate.steps < steps:
        server.client.get("/health")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("written", [0, 1, 5])
def test_a_disconnect_stops_the_model_within_one_token(
    tiny: LoadedModel, tmp_path: Path, *, stream: bool, written: int
) -> None:
    """After the client disconnects, the current step is the last one of its sequence."""
    gate = Gate()
    with serving(tiny, tmp_path / "s", gate=gate) as server:
        connection = post(server.path, stream=stream)
        gate.allow(written)
        until_steps(server, gate, written + 1)
        connection.close()
        server.when(running=0)
        gate.open()
        assert server.ask(max_tokens=1).status_code == 200
        assert gate.steps == written + 2


@pytest.mark.parametrize("stream", [True, False])
def test_a_disconnect_while_waiting_costs_no_step(tiny: LoadedModel, tmp_path: Path, *, stream: bool) -> None:
    """A waiting request whose client disconnects never reaches the model."""
    gate = Gate()
    with serving(tiny, tmp_path / "s", gate=gate, limits=batch_limits(max_batch=1)) as server:
        first = post(server.path, stream=stream)
        server.when(running=1)
        second = post(server.path, stream=stream)
        server.when(running=1, waiting=1)
        second.close()
        server.when(running=1)
        first.close()
        server.when(running=0)
        gate.open()
        assert server.ask(max_tokens=1).status_code == 200
        assert gate.steps == 2


def test_a_disconnect_inside_a_request_is_not_an_error(
    tiny: LoadedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that disconnects before its request is complete is not logged as a server error."""
    with serving(tiny, tmp_path / "s") as server:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(server.path))
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        server.when(running=0)
        connection.close()
        assert server.ask().status_code == 200
    assert "Exception" not in caplog.text


def test_a_connection_kept_alive_is_not_a_disconnect(tiny: LoadedModel, tmp_path: Path) -> None:
    """Several replies over one keep-alive connection are complete."""
    with serving(tiny, tmp_path / "s") as server:
        for _ in range(3):
            assert server.ask(max_tokens=20).json()["usage"]["completion_tokens"] == 20
