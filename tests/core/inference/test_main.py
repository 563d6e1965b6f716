"""`python -m core.inference` as a process: start, answers and exit."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import httpx
import pytest
from gguf import GGMLQuantizationType

from core.inference.memory import OOM_SCORE, generous_limit
from tests.core.inference.checkpoint.gguf_writer import write_gguf
from tests.core.inference.options import server_arguments
from tests.core.inference.tiny import write_tiny_model
from tests.options import child_with

EX_CONFIG = 78


def arguments(model: Path, *options: object) -> list[str]:
    """The command line of a server whose model is in its data folder."""
    data_dir = model if model.is_dir() else model.parent
    return [sys.executable, "-m", "core.inference", *map(str, (*server_arguments(model, data_dir), *options))]


@contextmanager
def started(model: Path, *options: object) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(arguments(model, *options), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def until_listening(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr
    assert any(b"listening" in line for line in process.stderr)


def test_exits_with_its_parent(tiny_folder: Path, tmp_path: Path) -> None:
    """The server answers on a socket of mode 0600. When its standard input is closed, it exits and removes the socket
    and its folder.
    """
    path = tmp_path / "own" / "s"
    path.parent.mkdir()
    with (
        started(tiny_folder, "--uds", path, "--exit-with-parent") as process,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client,
    ):
        until_listening(process)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        request = {"messages": [{"role": "user", "content": "a canary in the logs"}], "max_tokens": 3}
        assert client.post("/v1/chat/completions", json=request).json()["usage"]["completion_tokens"] == 3
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0
        assert process.stderr
        assert b"canary" not in process.stderr.read()
        assert not path.parent.exists()


def test_a_folder_of_the_user_stays(tiny_folder: Path, tmp_path: Path) -> None:
    """If a parent ends that probes on a socket of its own, both sockets go, and the folder of its own one alone."""
    own, users = tmp_path / "own" / "s", tmp_path / "user" / "s"
    for path in (own, users):
        path.parent.mkdir()
    with started(tiny_folder, "--uds", users, "--health-uds", own, "--exit-with-parent") as process:
        until_listening(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0
    assert list(tmp_path.iterdir()) == [users.parent]
    assert list(users.parent.iterdir()) == []


def test_sigterm_ends_it_in_order(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends the server with status 0 and removes the socket; the key of the environment is required."""
    path = tmp_path / "s"
    monkeypatch.setenv("PARLEY_SERVER_KEY", "secret")
    with (
        started(tiny_folder, "--uds", path, "--threads", 1) as process,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client,
    ):
        until_listening(process)
        assert client.get("/v1/models").status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert not path.exists()


def test_web_pages_do_not_reach_a_model_on_loopback(tiny_folder: Path) -> None:
    """On a loopback address, requests of other sites' pages and under other names are refused."""
    with started(tiny_folder, "--port", 0, "--threads", 1) as process:
        assert process.stderr
        line = next(line for line in process.stderr if b"listening" in line)
        _, port = json.loads(line)["at"]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/v1/models").status_code == 200
            assert client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 421
            assert client.get("/metrics", headers={"Origin": "http://evil.example"}).status_code == 403


def test_a_parent_can_probe_a_bounded_process(tiny_folder: Path, tmp_path: Path) -> None:
    """A server on an address also answers on the socket that its parent names. Without an option for it, its address
    space is bounded, and the kernel kills it before others.
    """
    path = tmp_path / "own" / "s"
    path.parent.mkdir()
    with (
        started(tiny_folder, "--port", 0, "--threads", 1, "--health-uds", path, "--exit-with-parent") as process,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client,
    ):
        until_listening(process)
        assert client.get("/health").status_code == 200
        if sys.platform == "linux":
            of_process = Path(f"/proc/{process.pid}")
            assert int((of_process / "oom_score_adj").read_text()) >= OOM_SCORE
            limits = (of_process / "limits").read_text().splitlines()
            bound = next(line.split()[3] for line in limits if "Max address space" in line)
            assert int(bound) <= generous_limit(tiny_folder, child_with(data_dir=tmp_path).cache_bytes)
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0
        assert not path.parent.exists()


def test_the_context_is_the_models_own(tmp_path: Path) -> None:
    """Without an option that limits it, a long prompt is read that the model was trained for."""
    folder, path = write_tiny_model(tmp_path, max_length=8192), tmp_path / "s"
    with (
        started(folder, "--uds", path) as process,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x", timeout=60) as client,
    ):
        until_listening(process)
        [model] = client.get("/v1/models").json()["data"]
        assert model["max_model_len"] == 8192
        request = {"messages": [{"role": "user", "content": "hello " * 6000}], "max_tokens": 1}
        assert client.post("/v1/chat/completions", json=request).json()["usage"]["prompt_tokens"] > 6000


def test_a_gguf_file_is_served_under_its_name(tiny_folder: Path, tmp_path: Path) -> None:
    """A server of a GGUF file answers, and lists the model by the file's name."""
    file = write_gguf(tiny_folder, tmp_path / "tiny-q8_0.gguf", type_=GGMLQuantizationType.Q8_0)
    with (
        started(file, "--uds", tmp_path / "s") as process,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "s")), base_url="http://x") as client,
    ):
        until_listening(process)
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["tiny-q8_0.gguf"]
        request = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
        assert client.post("/v1/chat/completions", json=request).json()["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_a_truncated_gguf_file_is_reported_in_one_line(tiny_folder: Path, tmp_path: Path, share: float) -> None:
    """A GGUF file that ends anywhere gives one line on standard error, no traceback, and exit status 78."""
    file = write_gguf(tiny_folder, tmp_path / "tiny.gguf")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    ended = subprocess.run(arguments(file, "--port", 0), check=False, capture_output=True, text=True)
    assert ended.returncode == EX_CONFIG
    assert ended.stderr.count("\n") == 1
    assert f"{file}: it is not a whole GGUF file" in ended.stderr


def test_a_damaged_model_is_reported_in_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    """A damaged model gives one line on standard error, no traceback, and exit status 78."""
    folder = copytree(tiny_folder, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    ended = subprocess.run(arguments(folder, "--port", 0), check=False, capture_output=True, text=True)
    assert ended.returncode == EX_CONFIG
    assert ended.stderr.count("\n") == 1
    assert "truncated or corrupt" in ended.stderr


def test_too_little_memory_is_reported_in_one_line(tiny_folder: Path) -> None:
    """A model that does not fit the memory it may take gives one line on standard error and exit status 78."""
    command = arguments(tiny_folder, "--port", 0, "--memory-bytes", 200 << 20)
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == EX_CONFIG
    [line] = [line for line in ended.stderr.splitlines() if not line.startswith("{")]  # beside records of the log
    assert "engine.memory_bytes" in line
