"""`response_format` over a real socket: JSON replies, whole and streamed, and what is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.inference.loader import LoadedModel
from tests.core.inference.grammars.schemas import SCHEMAS, record
from tests.core.inference.serving import Running, events, forcing, serving

COUNT = record(n={"type": "integer", "minimum": 0, "maximum": 9})


@pytest.fixture(scope="module")
def server(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of its own, so that these requests are not in the cache of others."""
    with serving(tiny, tmp_path_factory.mktemp("formats") / "s") as running:
        yield running


def wanted(schema: dict[str, Any], **options: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, **options}}


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("penalty", [0.5, 1.5])
def test_a_reply_of_a_schema_ends_itself(server: Running, temperature: float, penalty: float) -> None:
    """With a schema the reply is JSON of it and ends by "stop", with any sampling options, streamed or not."""
    options = {"temperature": temperature, "seed": 5, "top_p": 0.9, "top_k": 20, "repetition_penalty": penalty}
    asked = {**options, "response_format": wanted(COUNT, strict=True), "max_tokens": 100}
    [choice] = server.ask(**asked).json()["choices"]
    with server.stream(**asked) as response:
        chunks = events(response)
    assert choice["finish_reason"] == chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert json.loads(choice["message"]["content"])["n"] in range(10)
    assert text_of(chunks) == choice["message"]["content"]


def test_a_json_object(server: Running) -> None:
    """The type `json_object` begins an object; with too few tokens it is cut and ends by "length"."""
    [choice] = server.ask(response_format={"type": "json_object"}, max_tokens=1).json()["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].startswith("{")


def test_a_stop_string_cuts_the_json(server: Running) -> None:
    """A stop string ends a constrained reply as any other."""
    [choice] = server.ask(response_format=wanted(COUNT), stop='"n', max_tokens=100).json()["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].strip() == "{"


def test_characters_of_several_tokens_stream_whole(server: Running, tiny: LoadedModel) -> None:
    """Characters that the vocabulary has in pieces arrive whole, in keys and in values."""
    text = '{"城市": "乌鲁木齐", "天气": "🤗"}'
    ids = [*tiny.vocabulary.encode(text), min(tiny.eos_ids)]
    with (
        forcing(tiny.network, ids),
        server.stream(response_format=wanted(SCHEMAS["Chinese"]), max_tokens=100) as response,
    ):
        chunks = events(response)
    assert text_of(chunks) == text
    assert "\ufffd" not in text_of(chunks)


def test_log_probabilities_are_finite(server: Running) -> None:
    """If fewer tokens are allowed than are asked for, only the allowed ones are reported."""
    answer = server.ask(response_format=wanted(COUNT), max_tokens=100, logprobs=True, top_logprobs=20).json()
    tops = [entry["top_logprobs"] for entry in answer["choices"][0]["logprobs"]["content"]]
    assert all(isinstance(top["logprob"], float) for entry in tops for top in entry)
    assert min(map(len, tops)) < 20


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("json", "response_format"),
        ({}, "response_format.type"),
        ({"type": "grammar"}, "response_format.type"),
        ({"type": "json_object", "schema": COUNT}, "response_format.schema"),
        ({"type": "json_object", "json_schema": {"name": "x", "schema": COUNT}}, "response_format"),
        ({"type": "json_schema"}, "response_format"),
        ({"type": "json_schema", "json_schema": {"schema": COUNT}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": []}}, "response_format.json_schema.schema"),
        (wanted(COUNT, strict="yes"), "response_format.json_schema.strict"),
        (wanted({"type": "strin"}), "response_format.json_schema.schema"),
        (wanted({"$ref": "https://a.example/schema"}), "response_format.json_schema.schema"),
    ],
)
def test_wrong_formats_are_refused(server: Running, value: object, param: str) -> None:
    """A format or schema that cannot be used is a 400 with the name of the field, in a stream too."""
    for stream in (False, True):
        response = server.ask(response_format=value, stream=stream)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param
        assert param in response.json()["error"]["message"]


def test_the_reason_of_a_refused_schema_is_told(server: Running) -> None:
    """The message has the compiler's reason."""
    error = server.ask(response_format=wanted({"type": "object", "not": {}})).json()["error"]
    assert (error["code"], error["type"]) == ("schema_refused", "invalid_request_error")
    assert "not" in error["message"]
