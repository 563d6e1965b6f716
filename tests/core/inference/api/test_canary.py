"""What people write to the model server stands in no log, at any level, however their request ends."""

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import CapturingLoggerFactory

from core.inference.loader import LoadedModel
from tests.core.inference.serving import Running, Steered, body, hooked, serving

CANARY = "xyzzycanary"
SCHEMAS: list[tuple[dict[str, str], int]] = [
    ({"const": CANARY, "title": CANARY}, 200),
    ({"$ref": f"https://{CANARY}.example"}, 400),
    ({"type": "string", "pattern": f"({CANARY}"}, 400),
]
TOOL = {"type": "function", "function": {"name": CANARY, "description": CANARY}}
MESSAGES = [{"role": role, "content": f"{CANARY} of the {role}"} for role in ("system", "user", "assistant", "user")]
REQUESTS: list[tuple[dict[str, Any], int]] = [
    ({}, 200),
    ({"stop": [CANARY], "seed": 1, "logprobs": True, "metadata": {CANARY: CANARY}}, 200),
    *(
        ({"response_format": {"type": "json_schema", "json_schema": {"name": CANARY, "schema": schema}}}, status)
        for schema, status in SCHEMAS
    ),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": CANARY}}}, 400),
    ({"model": CANARY}, 404),
    ({"temperature": CANARY, CANARY: CANARY}, 400),
    ({"messages": [{"role": CANARY, "content": CANARY}]}, 400),
    ({"messages": [{"role": "user", "content": f"{CANARY} " * 300}]}, 400),
]
MALFORMED = (f'{{"messages": "{CANARY}', f'{{"user": "{CANARY}\\ud800"}}', CANARY)


def ask(server: Running) -> None:
    """Every kind of request that ends in order or is refused."""
    for options, status in REQUESTS:
        for stream in (False, True):
            asked = {**body(), "messages": MESSAGES, "user": CANARY, "stream": stream, **options}
            assert server.client.post("/v1/chat/completions", json=asked).status_code == status
    for content in MALFORMED:
        assert server.client.post("/v1/chat/completions", content=content).status_code == 400
    assert server.client.post("/tokenize", json={"prompt": CANARY}).status_code == 200
    assert server.client.get(f"/v1/{CANARY}?{CANARY}", headers={"X-Canary": CANARY}).status_code == 404


def fail(server: Running, network: Steered) -> None:
    """A step that fails, twice, and then one that ends the process."""

    def raise_it() -> None:
        raise RuntimeError(f"cannot read {CANARY}")

    with hooked(network.before, raise_it):
        for _ in range(2):
            asked = {**body(), "messages": MESSAGES, "user": CANARY}
            assert server.client.post("/v1/chat/completions", json=asked).status_code == 500
        with pytest.raises(httpx.HTTPError):
            server.client.post("/v1/chat/completions", json=asked, timeout=1)


def test_no_log_has_a_word_of_anybody(tiny: LoadedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at DEBUG, libraries included, no record has a word of a prompt, a name, a schema or a tool: not
    when a reply is written, not when it is refused, not when a step fails or the model's loop dies.
    """
    ours = CapturingLoggerFactory()
    assert isinstance(tiny.network, Steered)
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=ours,
        cache_logger_on_first_use=False,
    )
    caplog.set_level(logging.DEBUG)
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with serving(tiny, tmp_path / "s") as server:
            ask(server)
            fail(server, tiny.network)
    finally:
        structlog.configure(**before)
    said = [str(call.args[0]) for call in ours.logger.calls]
    libraries = [f"{record.name}: {record.getMessage()} {record.exc_text or ''}" for record in caplog.records]
    assert any("a step failed" in line for line in said)
    assert any("the model's loop died" in line for line in said)
    assert any(line.startswith("uvicorn") for line in libraries)
    servers = [line for line in libraries if not line.startswith(("httpx", "httpcore"))]  # those are the test's client
    assert [line for line in (*said, *servers) if CANARY in line] == []
