"""The OpenAI API over a real socket."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from transformers import Qwen2ForCausalLM

from core.inference.api.server import ServerOptions
from core.inference.arrays import Floats
from core.inference.loader import LoadedModel, load_model
from core.inference.weights.precision import Precision
from core.text import digest
from tests.core.inference.options import batch_limits, load_options
from tests.core.inference.serving import Gate, Running, Steered, body, events, forcing, hooked, serving
from tests.core.inference.tiny import TEMPLATE, write_tiny_model

CHAT = "/v1/chat/completions"


def error_of(response: httpx.Response, status: int) -> dict[str, str]:
    """The error of a response, which must be an OpenAI error body."""
    assert response.status_code == status
    error: dict[str, str] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def control(model: LoadedModel) -> dict[str, int]:
    """The ids of the control tokens."""
    return {name: token for token, name in model.vocabulary.control.items()}


def test_a_completion_has_the_openai_shape(server: Running, tiny: LoadedModel) -> None:
    """A completion has a model, a message, a finish reason and the usage."""
    answer = server.ask("hello").json()
    assert (answer["object"], answer["model"]) == ("chat.completion", tiny.name)
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["choices"][0]["finish_reason"] == "length"
    prompt = len(tiny.vocabulary.encode("user\nhello")) + len(tiny.vocabulary.encode("assistant\n")) + 4
    assert answer["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": 8,
        "total_tokens": prompt + 8,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 1.5, "seed": 5}, {"temperature": 1, "seed": 6, "stop": ["a", "t"]}]
)
def test_a_stream_adds_up_to_the_completion(server: Running, options: dict[str, object]) -> None:
    """The same request gives the same text, finish reason, log-probabilities and usage, streamed or not."""
    options = {**options, "max_tokens": 60, "logprobs": True, "top_logprobs": 2}
    whole = server.ask("你好", **options).json()
    with server.stream("你好", **options, stream_options={"include_usage": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *chunks, last = events(response)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    assert text == whole["choices"][0]["message"]["content"]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == [
        whole["choices"][0]["finish_reason"]
    ]
    entries = [entry for choice in choices if choice["logprobs"] for entry in choice["logprobs"]["content"]]
    assert entries == whole["choices"][0]["logprobs"]["content"]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])


def test_usage_in_a_stream_only_when_asked(server: Running) -> None:
    """Without `include_usage` no chunk has a usage."""
    with server.stream() as response:
        assert not any("usage" in chunk for chunk in events(response))


def test_emoji_and_stop_strings_stream_clean(server: Running, tiny: LoadedModel) -> None:
    """An emoji of several tokens arrives in one chunk, and no part of a stop string arrives."""
    ids = tiny.vocabulary.encode("好🤗 END of it")
    assert len(tiny.vocabulary.encode("🤗")) == 4
    with forcing(tiny.network, ids), server.stream(stop="END", max_tokens=50) as response:
        pieces = [chunk["choices"][0]["delta"].get("content") for chunk in events(response)]
    assert "".join(filter(None, pieces)) == "好🤗 "
    assert "🤗" in pieces


def test_an_eos_token_ends_a_reply(server: Running, tiny: LoadedModel) -> None:
    """An EOS token is counted and reported as a token, and adds no text."""
    ids = [*tiny.vocabulary.encode("hello"), control(tiny)["<|im_end|>"]]
    with forcing(tiny.network, ids):
        answer = server.ask(logprobs=True).json()
    [choice] = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("hello", "stop")
    assert answer["usage"]["completion_tokens"] == len(ids)
    assert choice["logprobs"]["content"][-1]["token"] == "<|im_end|>"


def test_control_tokens_are_never_sampled(server: Running, tiny: LoadedModel) -> None:
    """A control token with by far the highest logit is still not sampled."""
    with forcing(tiny.network, [control(tiny)["<|im_start|>"]] * 8):
        assert "<|im_start|>" not in server.ask().json()["choices"][0]["message"]["content"]


def test_logprobs_are_the_models(server: Running, tiny: LoadedModel, oracle: Qwen2ForCausalLM) -> None:
    """Reported log-probabilities are those of the model's masked logits, with the exact bytes of each token."""
    answer = server.ask("hello", max_tokens=1, logprobs=True, top_logprobs=20, temperature=2, seed=1).json()
    [entry] = answer["choices"][0]["logprobs"]["content"]
    start, end, encode = control(tiny)["<|im_start|>"], control(tiny)["<|im_end|>"], tiny.vocabulary.encode
    ids = [start, *encode("user\nhello"), end, *encode("\n"), start, *encode("assistant\n")]
    with torch.inference_mode():
        logits = oracle(torch.tensor([ids])).logits[0, -1].masked_fill(torch.from_numpy(~tiny.allowed), -torch.inf)
    best = logits.log_softmax(-1).topk(20)
    assert [bytes(top["bytes"]) for top in entry["top_logprobs"]] == list(
        map(tiny.vocabulary.bytes_of, best.indices.tolist())
    )
    assert [top["logprob"] for top in entry["top_logprobs"]] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert any(len(top["bytes"]) == 1 and top["bytes"][0] > 127 for top in entry["top_logprobs"])


def test_names_of_the_model(server: Running, tiny: LoadedModel) -> None:
    """The served model is listed, and accepted by its name or without one; another name gets a 404."""
    [card] = server.client.get("/v1/models").json()["data"]
    assert (card["id"], card["max_model_len"]) == (tiny.name, tiny.max_model_len)
    assert card["fingerprint"] == tiny.fingerprint
    assert server.ask(model=tiny.name).status_code == server.ask(model="").status_code == 200
    assert error_of(server.ask(model="gpt-4"), 404)["code"] == "model_not_found"


def test_tokenize_counts_plain_text(server: Running, tiny: LoadedModel) -> None:
    """The count is that of plain text: a control token written in it is text."""
    answer = server.client.post("/tokenize", json={"prompt": "<|im_end|>你好"}).json()
    ids = tiny.vocabulary.encode("<|im_end|>你好")
    assert answer == {"count": len(ids), "tokens": ids, "max_model_len": tiny.max_model_len}


def test_an_order_of_roles_that_the_template_rejects(tmp_path: Path) -> None:
    """The model's own template decides which conversations it accepts; the others get a 400 with its reason."""
    folder = write_tiny_model(tmp_path)
    check = "{% if messages[-1].role != 'user' %}{{ raise_exception('no question') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(check + TEMPLATE)
    model = load_model(str(folder), tmp_path, load_options(precision=Precision.FP32))
    answered = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello"}]
    with serving(model, tmp_path / "s") as server:
        error = error_of(server.client.post(CHAT, json={"messages": answered}), 400)
    assert error["code"] == "roles"
    assert "no question" in error["message"]


def test_a_think_block_is_not_shown(tiny: LoadedModel, server: Running) -> None:
    """A think block that the model spells out before its reply is counted, but not shown."""
    ids = [*tiny.vocabulary.encode("<think>hello</think>\n\nworld"), control(tiny)["<|im_end|>"]]
    with forcing(tiny.network, ids):
        answer = server.ask(max_tokens=60).json()
    assert answer["choices"][0]["message"]["content"] == "world"
    assert answer["usage"]["completion_tokens"] == len(ids)


def test_content_in_parts(server: Running) -> None:
    """Content in text parts is the same as their joined text."""
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    answers = [server.client.post(CHAT, json=body(content)).json() for content in ("hello", parts)]
    assert answers[0]["choices"] == answers[1]["choices"]


def test_unknown_fields_are_ignored(server: Running) -> None:
    """Fields that the server does not know change nothing."""
    assert server.ask(metadata={"a": "b"}, store=True, service_tier="auto", mystery={"a": [1]}).status_code == 200


NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "frequency_penalty": (None, 0, 0.0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
    "n": (None, 1),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "parallel_tool_calls": (True, False),
    "min_p": (0,),
    "best_of": (1,),
    "chat_template_kwargs": ({"enable_thinking": False},),
    "request_timeout": (None, 60),
}
"""Fields that OpenAI's client, LangChain and LiteLLM send without being asked for more than a plain reply."""


@pytest.mark.parametrize(("field", "values"), NEUTRAL.items())
def test_defaults_of_clients_are_accepted(server: Running, field: str, values: tuple[object, ...]) -> None:
    """A field that the server does not support is accepted with a value that asks for nothing."""
    assert [server.ask(max_tokens=1, **{field: value}).status_code for value in values] == [200] * len(values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tools", {"a": 1}),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("functions", [{"name": "f"}]),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1),
        ("logit_bias", {"50256": -100}),
        ("modalities", ["text", "audio"]),
        ("best_of", 3),
        ("min_p", 0.1),
        ("guided_json", {"type": "object"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("web_search_options", {}),
        ("chat_template", "{{ messages }}"),
    ],
)
def test_what_the_server_cannot_do_is_refused(server: Running, field: str, value: object) -> None:
    """A field that would change the reply, and is not supported, is a 400 with its name, in a stream too."""
    for stream in (False, True):
        error = error_of(server.ask(stream=stream, **{field: value}), 400)
        assert (error["param"], error["code"]) == (field, "unsupported_value")


def test_calls_of_tools_in_messages_are_refused(server: Running) -> None:
    """A message that calls a tool, or answers one, is a 400."""
    asked: list[dict[str, object]] = [{"role": "user", "content": "hello"}]
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function"}]}
    for last in (call, {"role": "tool", "content": "7", "tool_call_id": "1"}):
        error_of(server.client.post(CHAT, json={"messages": [*asked, last]}), 400)


@pytest.mark.parametrize("penalty", [1e-38, 0.09, 10.1, 1e38])
@pytest.mark.parametrize("temperature", [0, 1])
def test_penalties_out_of_range_are_refused(server: Running, penalty: float, temperature: float) -> None:
    """A repetition penalty outside 0.1 to 10 is a 400, and the server goes on; the bounds themselves are answered."""
    error = error_of(server.ask(repetition_penalty=penalty, temperature=temperature), 400)
    assert error["param"] == "repetition_penalty"
    for allowed in (0.1, 10):
        assert server.ask(repetition_penalty=allowed, temperature=temperature).status_code == 200


def test_other_endpoints_of_openai_are_refused_clearly(server: Running) -> None:
    """Embeddings and the like get a 404 that says what the server has instead."""
    for path in ("/v1/embeddings", "/v1/completions", "/v1/responses"):
        error = error_of(server.client.post(path, json={"input": "x"}), 404)
        assert error["code"] == "unsupported_endpoint"
        assert CHAT in error["message"]


def test_the_user_is_hashed_at_the_door(tiny: LoadedModel, tmp_path: Path) -> None:
    """The name of the user is not kept in the server: what it holds of a request has a digest in its place."""
    gate = Gate()
    with serving(tiny, tmp_path / "s", gate=gate) as server, server.stream(user="canary") as response:
        server.when(running=1)
        users = {sequence.job.user for sequence in server.loop._scheduler._running.values()}
        gate.open()
        assert events(response)
    assert users == {digest("canary").hex()}


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"temperature": "hot"},
        {"top_p": 1.5},
        {"top_k": -2},
        {"repetition_penalty": 0},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"seed": 2**63},
        {"seed": 10**4000},
        {"n": 2},
        {"stop": ""},
        {"stop": ["x"] * 17},
        {"top_logprobs": 21, "logprobs": True},
        {"top_logprobs": 3},
        {"stream": "yes"},
        {"stream_options": 1},
        {"user": 7},
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"role": "root", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
    ],
)
def test_bad_values_are_refused(server: Running, options: dict[str, object]) -> None:
    """A value that cannot be used is a 400 that names the field and does not repeat what was sent."""
    error = error_of(server.ask(**options), 400)
    assert error["type"] == "invalid_request_error"
    assert error["param"].split(".")[0] in options


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"messages":[{"role":"user","content":"x"}],"extra":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"messages":[{"role":"user","content":"x"}],"max_tokens":' + b"9" * 5000 + b"}",
        b'{"messages":[{"role":"user","content":"x"}],"extra":' + b"9" * 5000 + b"}",
        b'{"messages":[{"role":"user","content":"x"}],"temperature":1e999}',
        b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
        b'{"messages":[{"role":"user","content":"x"}],"stop":"\\udfff"}',
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/tokenize"])
def test_json_bombs_are_refused(server: Running, path: str, content: bytes) -> None:
    """Nesting, numbers and surrogates that break parsers get a 400, and the server keeps running."""
    error_of(server.client.post(path, content=content), 400)
    assert server.ask(max_tokens=1).status_code == 200


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "\x1b[31m\r\n", "\u202eabc", "e" + "\u0301" * 50, "", "\ufffe", "👩‍👩‍👧"]
)
def test_odd_text_is_answered(server: Running, text: str) -> None:
    """NUL, control characters, right-to-left marks, stacked accents and empty text are ordinary text."""
    assert server.ask(text, user=text, stop=text or None).status_code == 200


def test_a_prompt_over_the_context_is_refused(server: Running, tiny: LoadedModel) -> None:
    """A prompt that fills the context gets a 400; a shorter one gets as long a reply as fits."""
    error = error_of(server.ask("好" * tiny.max_model_len), 400)
    assert error["code"] == "context_length_exceeded"
    answer = server.ask("hello", max_tokens=100_000).json()
    assert answer["usage"]["total_tokens"] == tiny.max_model_len
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_body_over_the_limit_is_refused_unread(tiny: LoadedModel, tmp_path: Path) -> None:
    """A body over the limit gets a 413, with or without a declared length."""
    with serving(tiny, tmp_path / "s", options=ServerOptions(max_body_bytes=1000)) as server:
        big = json.dumps(body("x" * 1000)).encode()
        assert error_of(server.client.post(CHAT, content=big), 413)["code"] == "request_too_large"
        chunks = (big[i : i + 100] for i in range(0, len(big), 100))
        error_of(server.client.post("/tokenize", content=chunks), 413)
        assert server.ask("x" * 100).status_code == 200


def test_unknown_paths_and_methods(server: Running) -> None:
    """Unknown paths and methods get a 404 or 405 with an OpenAI error body."""
    assert error_of(server.client.get("/v1/nothing"), 404)["code"] == "unknown_url"
    assert error_of(server.client.get(CHAT), 405)["code"] == "method_not_supported"


def test_a_key_is_required_everywhere(tiny: LoadedModel, tmp_path: Path) -> None:
    """Without the key every path except /health gets a 401, unknown paths included."""
    wrong = ["", "Bearer", "Bearer wrong", "secret", "Bearer secrets", "Bearer secre", "Bearer s\u00e9cret"]
    with serving(tiny, tmp_path / "s", options=ServerOptions(key="secret")) as server:
        for path, key in product(("/v1/models", "/tokenize", CHAT, "/nowhere", "/health/"), wrong):
            headers = [(b"Authorization", key.encode("latin-1"))]
            assert error_of(server.client.get(path, headers=headers), 401)["code"] == "invalid_api_key"
            error_of(server.client.post(path, headers=headers, json=body()), 401)
        assert server.client.get("/health").status_code == 200
        assert server.client.post(CHAT, headers={"Authorization": "Bearer secret"}, json=body()).status_code == 200


def test_a_full_queue_says_when_to_retry(tiny: LoadedModel, tmp_path: Path) -> None:
    """A request over the queue's limit gets a 503 with Retry-After at once; the others are served."""
    gate = Gate()
    with (
        serving(tiny, tmp_path / "s", gate=gate, limits=batch_limits(max_batch=1, max_queue=1)) as server,
        server.stream(max_tokens=2) as first,
        server.when(running=1).stream(max_tokens=2) as second,
    ):
        server.when(running=1, waiting=1)
        for refused in (server.ask(), server.ask(stream=True)):
            assert error_of(refused, 503)["code"] == "queue_full"
            assert int(refused.headers["Retry-After"]) > 0
        gate.open()
        assert events(first)
        assert events(second)


def test_two_streams_advance_together(tiny: LoadedModel, tmp_path: Path) -> None:
    """Each step gives every stream its next token, so that neither waits for the other to end."""
    gate = Gate()
    ids = tiny.vocabulary.encode("abcdefghijklmnopqrstuvwxyz" * 3)
    with (
        forcing(tiny.network, ids),
        serving(tiny, tmp_path / "s", gate=gate) as server,
        server.stream(user="ann", max_tokens=30) as first,
        server.when(running=1).stream(user="bob", max_tokens=30) as second,
    ):
        server.when(running=1, waiting=1)
        gate.allow(20)
        for response in (first, second):
            chunks = (line for line in response.iter_lines() if line)
            assert len([next(chunks) for _ in range(9)]) == 9


def test_metrics_count_what_happened(tiny: LoadedModel, tmp_path: Path) -> None:
    """The metrics count tokens read, cached and written, the time to the first token, and current work."""
    with serving(tiny, tmp_path / "s") as server:
        usages = [server.ask("hello " * 20, user="ann").json()["usage"] for _ in range(2)]
        cached = usages[1]["prompt_tokens_details"]["cached_tokens"]
        server.when(running=0)
        found = dict(line.rsplit(" ", 1) for line in server.client.get("/metrics").text.splitlines() if line[0] != "#")
    assert cached > 0
    assert float(found['parley_tokens_total{kind="read"}']) == 2 * usages[0]["prompt_tokens"] - cached
    assert float(found['parley_tokens_total{kind="cached"}']) == cached
    assert float(found['parley_tokens_total{kind="written"}']) == 16
    assert float(found["parley_first_token_seconds_count"]) == 2
    assert float(found["parley_running"]) == float(found["parley_waiting"]) == 0
    assert float(found["parley_cache_blocks"]) > 0
    assert float(found["process_resident_memory_bytes"]) > 0


def test_the_prefix_cache_is_per_user(server: Running, tiny: LoadedModel) -> None:
    """Only the same user gets cached tokens of a text; others get those of the opening before the text."""
    opening = 1 + len(tiny.vocabulary.encode("user\n"))
    asked = "a long story of a dog that sat on a mat " * 3

    def cached(**options: object) -> int:
        return int(server.ask(asked, **options).json()["usage"]["prompt_tokens_details"]["cached_tokens"])

    assert cached(user="carol") <= opening
    assert cached(user="dan") == opening
    assert cached() == opening
    assert cached() == opening
    assert cached(user="carol") > 90


def test_a_model_that_does_not_advance_is_reported(tiny: LoadedModel, tmp_path: Path) -> None:
    """/health is 503 if work has waited too long for a step, and 200 after a step or without work."""
    gate = Gate()
    with serving(tiny, tmp_path / "s", gate=gate, options=ServerOptions(stall_seconds=60)) as server:
        server.clock.advance(1000)
        assert server.client.get("/health").status_code == 200
        with server.stream(max_tokens=2) as response:
            server.when(running=1)
            server.clock.advance(61)
            stalled = server.client.get("/health")
            assert (stalled.status_code, stalled.json()) == (503, {"status": "stalled", "for": 61.0})
            gate.allow(1)
            server.when(running=1)
            gate.open()
            assert events(response)
        server.when(running=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("temperature", [0, 1])
def test_a_row_without_numbers_fails_alone(tiny: LoadedModel, tmp_path: Path, value: float, temperature: float) -> None:
    """If the logits of one row are no numbers, its request gets a 500, and the others the reply that they get alone."""

    def spoil(logits: Floats) -> None:
        if len(logits) > 1:
            logits[1, :] = value

    gate, options = Gate(), {"max_tokens": 20, "temperature": temperature, "seed": 3}
    assert isinstance(tiny.network, Steered)
    with serving(tiny, tmp_path / "s") as server:
        alone = server.ask("the cat", **options).json()
    with ThreadPoolExecutor() as threads, serving(tiny, tmp_path / "s", gate=gate) as server:
        with hooked(tiny.network.after, spoil), server.stream("the cat", **options) as good:
            bad = threads.submit(server.when(running=1).ask, "the dog", **options)
            server.when(running=1, waiting=1)
            gate.open()
            assert error_of(bad.result(), 500)["code"] == "not_finite"
            text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in events(good))
        assert text == alone["choices"][0]["message"]["content"]
        assert server.client.get("/health").json() == {"status": "ok", "running": 0, "waiting": 0}


def test_a_step_that_fails_ends_its_replies(tiny: LoadedModel, tmp_path: Path) -> None:
    """An exception in a step ends the replies in it, in a stream with an error event; the next request is answered."""
    faults: list[Exception] = [RuntimeError("out of memory")]
    crashes: list[str] = []

    def fail() -> None:
        if faults:
            raise faults.pop()

    assert isinstance(tiny.network, Steered)
    with (
        hooked(tiny.network.before, fail),
        serving(tiny, tmp_path / "s", on_crash=lambda: crashes.append("crash")) as server,
    ):
        with server.stream() as response:
            *_, last = events(response)
        assert last["error"]["code"] == "step_failed"
        faults.append(MemoryError())
        assert error_of(server.ask(), 500)["code"] == "step_failed"
        assert server.ask().status_code == 200
    assert not crashes


def test_steps_that_keep_failing_end_the_process(tiny: LoadedModel, tmp_path: Path) -> None:
    """The third exception in a row calls `on_crash`: the fault is the machine's, not a request's."""
    crashes: list[str] = []

    def fail() -> None:
        raise RuntimeError("out of memory")

    assert isinstance(tiny.network, Steered)
    with (
        hooked(tiny.network.before, fail),
        serving(tiny, tmp_path / "s", on_crash=lambda: crashes.append("crash")) as server,
    ):
        for _ in range(2):
            error_of(server.ask(), 500)
        assert not crashes
        with server.stream() as response:
            lines = response.iter_lines()  # the request is aborted if the iterator is dropped
            assert next(lines).startswith("data")
            while not crashes:
                server.client.get("/health")
    assert crashes == ["crash"]


def test_a_forgotten_user_is_not_served_from_the_cache(server: Running, tiny: LoadedModel) -> None:
    """After /forget a user's prompt is computed anew, and other users' still come from the cache."""
    opening = 1 + len(tiny.vocabulary.encode("user\n"))
    asked = "a long story of a dog that sat on a log " * 3

    def cached(user: str) -> int:
        return int(server.ask(asked, user=user).json()["usage"]["prompt_tokens_details"]["cached_tokens"])

    for user in ("erin", "finn"):
        cached(user)
        assert cached(user) > 90
    answer = server.client.post("/forget", json={"users": ["erin", "nobody"]}).json()
    assert answer["forgotten_blocks"] > 0
    assert cached("erin") <= opening + 1
    assert cached("finn") > 90
    assert server.client.post("/forget", json={"users": ["nobody"]}).json() == {"forgotten_blocks": 0}


@pytest.mark.parametrize("users", [None, "erin", [""], [5], ["x"] * 1025])
def test_only_users_can_be_forgotten(server: Running, users: object) -> None:
    """A request without a list of users is refused."""
    error_of(server.client.post("/forget", json={"users": users}), 400)
