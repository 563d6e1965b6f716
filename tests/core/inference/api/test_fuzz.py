"""Any request body gets an answer or a client error, and the server goes on."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.inference.api.wire import ChatRequest
from core.inference.loader import LoadedModel
from tests.core.inference.serving import Running, serving

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.one_of(st.integers(-3, 30), st.floats(1e-38, 1e38), st.floats(0, 10))
ROLES = st.sampled_from(["system", "user", "assistant", "tool", ""])
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=20) | JSON}), max_size=4)
FIELDS = sorted(ChatRequest.model_fields.keys() - {"messages", "model", "max_tokens", "max_completion_tokens"})
BODIES = st.fixed_dictionaries(
    {"messages": MESSAGES | st.just([{"role": "user", "content": "hello"}]), "max_tokens": st.integers(1, 3)},
    optional=dict.fromkeys(FIELDS, NUMBERS | JSON),
)


@pytest.fixture(scope="module")
def fuzzed(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of its own, so that these requests are not in the cache of others."""
    with serving(tiny, tmp_path_factory.mktemp("fuzzed") / "s") as running:
        yield running


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODIES)
def test_any_body_is_answered_or_refused(fuzzed: Running, body: dict[str, object]) -> None:
    """Whatever its fields hold, a request is never a server error, and the server is healthy afterwards."""
    response = fuzzed.client.post("/v1/chat/completions", json=body)
    assert response.status_code in {200, 400, 404}, response.text
    assert fuzzed.client.get("/health").json()["status"] == "ok"


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=60))
def test_any_bytes_are_refused(fuzzed: Running, body: bytes) -> None:
    """Bytes that are no request are a 400."""
    for path in ("/v1/chat/completions", "/tokenize"):
        assert fuzzed.client.post(path, content=body).status_code in {400, 404}
    assert fuzzed.client.get("/health").status_code == 200
