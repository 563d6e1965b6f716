"""Every route of the model server, and requests of the right form to each of them."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from core.clock import ManualClock
from core.inference.api.server import ABSENT, ServerOptions, create_app
from core.inference.loader import LoadedModel
from tests.core.inference.serving import Running, serving

KEY = "key of this test"
ROUTES = {
    "/health": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
    "/tokenize": {"POST"},
    "/forget": {"POST"},
    "/v1/chat/completions": {"POST"},
    "/v1/models": {"GET", "HEAD"},
    **{path: {"GET", "HEAD", "POST"} for path in ABSENT},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD")
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant"]),
            "content": TEXT | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}), max_size=2),
        }
    ),
    min_size=1,
    max_size=4,
)
REQUESTS = st.fixed_dictionaries(
    {"messages": MESSAGES, "max_tokens": st.integers(1, 3)},
    optional={
        "temperature": st.floats(0, 5),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(-1, 2**70),
        "repetition_penalty": st.floats(0.1, 3),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "stop": st.text(min_size=1, max_size=5) | st.lists(st.text(min_size=1, max_size=5), max_size=4),
        "n": st.just(1),
        "logprobs": st.sampled_from([True]),
        "stream": st.booleans(),
        "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
        "user": TEXT,
    },
)
"""Chat requests that are valid but for their roles' order and what a field's bounds refuse."""


@pytest.fixture(scope="module")
def locked(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tiny, tmp_path_factory.mktemp("locked") / "s", options=ServerOptions(key=KEY)) as running:
        yield running


def test_every_route_is_known_here(tiny: LoadedModel, locked: Running) -> None:
    """The server has these routes: a new one is listed here too, and so needs the key."""
    app = create_app(tiny, locked.loop, ServerOptions(), entropy=lambda _: 0, clock=ManualClock())
    assert {route.path: route.methods for route in app.routes if isinstance(route, Route)} == ROUTES
    assert len(app.routes) == len(ROUTES)


@pytest.mark.parametrize("path", [path for path in ROUTES if path != "/health"])
def test_without_the_key_there_is_nothing(locked: Running, path: str) -> None:
    """Every route but /health answers 401 without the key, by any method."""
    for method in METHODS:
        for headers in ({}, {"Authorization": "Bearer another"}, {"Authorization": KEY}):
            assert locked.client.request(method, path, headers=headers).status_code == 401, method


@pytest.mark.parametrize("path", [*ROUTES, "/", "/v1", "/docs"])
def test_any_method_is_answered(locked: Running, path: str) -> None:
    """With the key, a wrong method or path is a client error."""
    for method in METHODS:
        answer = locked.client.request(method, path, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code in {200, 400, 404, 405}, method


def _valid_is_answered(locked: Running, request: dict[str, object]) -> None:
    answer = locked.client.post("/v1/chat/completions", json=request, headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code in {200, 400}, answer.text
    assert "server_error" not in answer.text
    assert locked.client.get("/health").json()["status"] == "ok"


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(request=REQUESTS)
def test_a_valid_request_is_answered(locked: Running, request: dict[str, object]) -> None:
    """A request with valid fields is answered, or refused for what they say together."""
    _valid_is_answered(locked, request)


@pytest.mark.long
@settings(max_examples=2_000, derandomize=False, suppress_health_check=list(HealthCheck))
@given(request=REQUESTS)
def test_any_of_many_valid_requests_is_answered(locked: Running, request: dict[str, object]) -> None:
    """The same for 2,000 requests."""
    _valid_is_answered(locked, request)
