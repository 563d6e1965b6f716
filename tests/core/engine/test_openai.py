"""The OpenAI client against servers that are foreign, broken, overloaded or gone."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path

import pytest

from core.engine.estimate import estimate_tokens
from core.engine.openai import OpenAIEngine
from core.engine.protocol import Piece
from core.errors import EngineLost, EngineRefused, EngineUnavailable
from core.messages import Finish, Usage
from core.prompt import ChatMessage, Prompt
from tests.core.engine.fake_server import Answer, Connection, FakeServer, Request, fake_server
from tests.fakes.proxies import FakeProxy, http_proxy, socks_proxy
from tests.options import server_with

SECRET = "cinnamon 肉桂"
PROMPT: Prompt = (ChatMessage(role="user", content=SECRET),)
CHAT, MODELS, TOKENIZE = "/v1/chat/completions", "/v1/models", "/tokenize"

Proxying = Callable[[str], AbstractAsyncContextManager[FakeProxy]]
Connect = Callable[[dict[str, Answer]], Awaitable[tuple[OpenAIEngine, FakeServer]]]


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connect]:
    """Opens an engine with a configured model on a server with the given answers."""
    async with AsyncExitStack() as stack:

        async def make(answers: dict[str, Answer]) -> tuple[OpenAIEngine, FakeServer]:
            server = await stack.enter_async_context(fake_server(tmp_path, answers))
            return OpenAIEngine(server_with(socket_path=server.socket_path, model="m", api_key="k")), server

        yield make


def replies(status: int, body: bytes) -> Answer:
    async def answer(_request: Request, to: Connection) -> None:
        await to.whole(status, body)

    return answer


def streams(*events: object, whole: bool = True) -> Answer:
    """Sends the events and ends the body, or aborts the connection if `whole` is False."""

    async def answer(_request: Request, to: Connection) -> None:
        await to.begin()
        for event in events:
            await to.event(event)
        if whole:
            await to.end()
        else:
            to.cut()

    return answer


def floods(chunk: bytes) -> Answer:
    """Sends the same chunk again and again, until the client disconnects."""

    async def answer(_request: Request, to: Connection) -> None:
        await to.begin()
        while True:
            await to.chunk(chunk)

    return answer


def text(content: str, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"delta": {"content": content}, "finish_reason": finish}]}


async def read(engine: OpenAIEngine) -> list[Piece]:
    async with engine.stream(PROMPT, max_tokens=9) as pieces:
        return [piece async for piece in pieces]


async def test_the_request_asks_for_a_stream_with_usage(connect: Connect) -> None:
    """A request names the model and the key, asks for a stream with usage, and sets no sampling options."""
    engine, server = await connect({CHAT: streams(text("x", "stop"), b"[DONE]")})
    await read(engine)
    [request] = server.asked(CHAT)
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["accept-encoding"] == "identity"
    assert request.json() == {
        "model": "m",
        "messages": [{"role": "user", "content": SECRET}],
        "max_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_keys_are_not_shown() -> None:
    """The API key and the secret of session ids are not part of the options' repr."""
    assert "hush" not in repr(server_with(api_key="hush", sessions=b"hush"))


async def test_a_reply_names_its_session(tmp_path: Path) -> None:
    """A router finds a conversation by a header: a digest of the user that needs a key. What belongs to nobody has
    none.
    """
    async with fake_server(tmp_path, {CHAT: streams(text("x", "stop"), b"[DONE]")}) as server:
        for sessions, user in (
            (b"k1", "ann"),
            (b"k1", "ann"),
            (b"k1", "bob"),
            (b"k2", "ann"),
            (b"k1", ""),
            (b"", "ann"),
        ):
            engine = OpenAIEngine(server_with(socket_path=server.socket_path, model="m", sessions=sessions))
            async with engine.stream(PROMPT, max_tokens=9, user=user) as pieces:
                assert [piece async for piece in pieces]
        with suppress(EngineLost):
            await engine.first_token(PROMPT, user="labels")
        sent = [request.headers.get("x-session-id") for request in server.asked(CHAT)]
    assert sent[0] == sent[1]
    assert len({*sent[:4]}) == 3
    assert sent[4:] == [None] * 3
    assert all(re.fullmatch("[0-9a-f]{32}", each or "") for each in sent[:4])


async def test_usage_with_cached_tokens(connect: Connect) -> None:
    """Usage in a chunk of its own is read, cached tokens included."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
    engine, _ = await connect({CHAT: streams(text("x", "length"), {"choices": [], "usage": usage}, b"[DONE]")})
    assert (await read(engine))[-1] == Piece(
        finish=Finish.LENGTH, usage=Usage(prompt_tokens=7, completion_tokens=2, cached_tokens=5)
    )


TOLERATED: dict[str, tuple[object, ...]] = {
    "nulls": (
        {"choices": [{"delta": {"content": None, "role": "assistant"}, "finish_reason": None}], "usage": None},
        text("ok"),
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens_details": None}, "error": None},
    ),
    "no usage, no [DONE]": (text("ok"), text("", "stop")),
    "text in the last chunk": (text("ok", "stop"), b"[DONE]"),
    "a finish of its own": (text("ok", "eos"), b"[DONE]"),
    "extra fields": ({"id": 1, "timings": {}, **text("ok", "stop")}, b"[DONE]"),
    "nothing to choose from": ({"choices": []}, {}, text("ok", "stop"), b"[DONE]"),
}


@pytest.mark.parametrize("events", TOLERATED.values(), ids=TOLERATED)
async def test_fields_that_other_servers_leave_out(connect: Connect, events: tuple[object, ...]) -> None:
    """Null, missing and extra fields of common servers do not change the reply."""
    engine, _ = await connect({CHAT: streams(*events)})
    *before, last = await read(engine)
    assert [piece.text for piece in before] == ["ok"]
    assert last == Piece(finish=Finish.STOP)


async def test_events_may_be_cut_anywhere(connect: Connect) -> None:
    """A body in chunks of one byte, with CR LF, comments and unescaped line separators, gives the same reply."""
    content = "一\u2028二\x85三"
    event = json.dumps(text(content, "stop"), ensure_ascii=False)
    body = f": ping\r\nevent: x\r\ndata: {event}\r\n\r\ndata:[DONE]\r\n\r\n"

    async def drip(_request: Request, to: Connection) -> None:
        await to.begin()
        for byte in body.encode():
            await to.chunk(bytes([byte]))
        await to.end()

    engine, _ = await connect({CHAT: drip})
    assert (await read(engine))[0].text == content


LOST: dict[str, tuple[object, ...]] = {
    "no finish": (text("a"),),
    "no finish before [DONE]": (text("a"), b"[DONE]"),
    "an empty body": (),
    "given up": (text("a", "abort"), b"[DONE]"),
    "an error in mid-stream": (text("a"), {"error": {"message": SECRET, "code": 500}}, text("", "stop")),
    "no JSON": (text("a"), b"<html>"),
    "JSON of another shape": (text("a"), b"[1, 2]"),
    "wrong types": (text("a"), {"choices": [{"delta": {"content": 5}}]}),
    "usage beyond belief": (text("a"), {**text("", "stop"), "usage": {"prompt_tokens": -1}}),
    "a bomb of brackets": (text("a"), b"[" * 200_000),
    "a bomb of digits": (text("a"), b'{"usage": ' + b"9" * 5_000 + b"}"),
    "not UTF-8": (text("a"), b'{"choices": [{"delta": {"content": "\xff"}}]}'),
    "half a character": (text("a"), rb'{"choices": [{"delta": {"content": "\ud800"}}]}'),
}


@pytest.mark.parametrize("events", LOST.values(), ids=LOST)
async def test_a_reply_that_goes_wrong_is_lost(connect: Connect, events: tuple[object, ...]) -> None:
    """Every fault in the middle of a reply raises EngineLost, and the error quotes nothing of the reply."""
    engine, _ = await connect({CHAT: streams(*events)})
    with pytest.raises(EngineLost) as caught:
        await read(engine)
    assert not set(SECRET.split()) & set(str(caught.value).split())
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 100_000, b"data: 1\n" * 10_000])
async def test_an_event_over_the_size_limit_is_lost(connect: Connect, chunk: bytes) -> None:
    """A line or an event that never ends raises EngineLost at the size limit."""
    engine, _ = await connect({CHAT: floods(chunk)})
    with pytest.raises(EngineLost):
        await read(engine)


async def test_a_cut_after_the_finish_loses_nothing(connect: Connect) -> None:
    """A connection that breaks after the finish reason still gives the whole reply."""
    engine, _ = await connect({CHAT: streams(text("ok", "stop"), whole=False)})
    assert await read(engine) == [Piece(text="ok"), Piece(finish=Finish.STOP)]


async def test_a_cut_before_any_answer_is_lost(connect: Connect) -> None:
    """A server that dies on a request raises EngineLost, which counts as an attempt: the request may have killed it."""

    async def die(_request: Request, to: Connection) -> None:
        to.cut()

    engine, _ = await connect({CHAT: die})
    with pytest.raises(EngineLost):
        await read(engine)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\xff" * 200_000])
async def test_a_server_that_speaks_no_http_is_lost(connect: Connect, answer: bytes) -> None:
    """A response that is not HTTP raises EngineLost."""

    async def babble(_request: Request, to: Connection) -> None:
        await to.send(answer)

    engine, _ = await connect({CHAT: babble})
    with pytest.raises(EngineLost):
        await read(engine)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_overloaded_or_broken_server_is_unavailable(connect: Connect, status: int) -> None:
    """A 429 or 5xx raises EngineUnavailable: nothing of a reply was generated."""
    engine, _ = await connect({CHAT: replies(status, b"<html>busy")})
    with pytest.raises(EngineUnavailable):
        await read(engine)


async def test_no_server_at_all(tmp_path: Path) -> None:
    """A socket that does not exist, a socket without a listener and a closed port raise EngineUnavailable."""
    dead = tmp_path / "dead"
    (await asyncio.start_unix_server(lambda *_: None, path=dead)).close()
    servers = [
        server_with(socket_path=tmp_path / "none", model="m"),
        server_with(socket_path=dead, model="m"),
        server_with(socket_path=tmp_path / ("x" * 200), model="m"),
        server_with(url="http://127.0.0.1:9/v1", model="m"),
    ]
    for server in servers:
        with pytest.raises(EngineUnavailable):
            await read(OpenAIEngine(server))


REFUSALS = {
    b'{"error": {"message": "cinnamon", "code": "context_length_exceeded"}}': "context_length_exceeded",
    b'{"error": {"type": "invalid_request_error", "code": null}}': "invalid_request_error",
    b'{"error": {"code": "cinnamon", "type": "cinnamon"}}': "Bad Request",
    b'{"error": "cinnamon"}': "Bad Request",
    b'{"detail": [{"input": "cinnamon"}]}': "Bad Request",
    b"cinnamon": "Bad Request",
    b"": "Bad Request",
}


@pytest.mark.parametrize(("body", "reason"), REFUSALS.items())
async def test_a_refusal_never_quotes_the_prompt(connect: Connect, body: bytes, reason: str) -> None:
    """A 4xx raises EngineRefused with its status and a reason from a fixed list, never the server's own text."""
    engine, _ = await connect({CHAT: replies(400, body)})
    with pytest.raises(EngineRefused) as caught:
        await read(engine)
    assert (caught.value.status, caught.value.reason) == (400, reason)


@pytest.mark.parametrize("status", [302, 404, 499, 501, 799])
async def test_other_statuses_are_refusals(connect: Connect, status: int) -> None:
    """Redirects, unknown statuses and "not implemented" raise EngineRefused too."""
    engine, _ = await connect({CHAT: replies(status, b"")})
    with pytest.raises(EngineRefused):
        await read(engine)


async def test_lone_surrogates_do_not_break_the_request(connect: Connect) -> None:
    """A lone surrogate, which UTF-8 cannot encode, is sent as a question mark."""
    engine, server = await connect({CHAT: streams(text("ok", "stop"))})
    async with engine.stream((ChatMessage(role="user", content="a\ud800b"),), max_tokens=9) as pieces:
        assert len([piece async for piece in pieces]) == 2
    assert server.asked(CHAT)[0].json()["messages"][0]["content"] == "a?b"


async def test_first_token_asks_for_one_token_with_its_candidates(connect: Connect) -> None:
    """Candidates have their bytes, or else their encoded text; those without a finite log-probability are left out."""
    candidates = [
        {"token": "x", "bytes": [231, 137], "logprob": -0.1},
        {"token": "中", "bytes": None, "logprob": -2},
        {"token": "z", "logprob": -9},
    ]
    body = {"choices": [{"logprobs": {"content": [{"top_logprobs": candidates}]}}]}
    endless = json.dumps(body).replace("-9", "-Infinity").encode()
    engine, server = await connect({CHAT: replies(200, endless)})
    assert await engine.first_token(PROMPT) == {b"\xe7\x89": -0.1, "中".encode(): -2.0}
    asked = server.asked(CHAT)[0].json()
    assert {
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
        "stream": False,
    }.items() <= asked.items()


@pytest.mark.parametrize("status", [400, 422, 501])
async def test_a_server_that_refuses_logprobs_has_none(connect: Connect, status: int) -> None:
    """A server that refuses the request for logprobs gives no first tokens."""
    engine, _ = await connect({CHAT: replies(status, b"{}")})
    assert await engine.first_token(PROMPT) == {}


@pytest.mark.parametrize(
    "choices",
    [[], None, [{}], [{"logprobs": None}], [{"logprobs": {"content": []}}], [{"logprobs": {"content": [{}]}}]],
)
async def test_a_server_that_omits_logprobs_has_none(connect: Connect, choices: object) -> None:
    """A response without logprobs gives no first tokens."""
    engine, _ = await connect({CHAT: replies(200, json.dumps({"choices": choices}).encode())})
    assert await engine.first_token(PROMPT) == {}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"choices": 1}', b'{"choices": [{"logprobs": {"content": [{"top_logprobs": [1]}]}}]}']
)
async def test_a_malformed_completion_is_lost(connect: Connect, body: bytes) -> None:
    """A response that is not a completion raises EngineLost."""
    engine, _ = await connect({CHAT: replies(200, body)})
    with pytest.raises(EngineLost):
        await engine.first_token(PROMPT)


async def test_other_refusals_of_the_first_token_are_raised(connect: Connect) -> None:
    """A refused key raises EngineRefused; it does not mean that the server has no logprobs."""
    engine, _ = await connect({CHAT: replies(401, b"{}")})
    with pytest.raises(EngineRefused):
        await engine.first_token(PROMPT)


async def test_a_response_over_the_size_limit_is_lost(connect: Connect) -> None:
    """A response that is read as a whole and never ends raises EngineLost at the size limit."""
    engine, _ = await connect({CHAT: floods(b"x" * 100_000)})
    with pytest.raises(EngineLost):
        await engine.first_token(PROMPT)


async def test_tokens_are_counted_as_llama_cpp_does(connect: Connect) -> None:
    """A server that finds no text in the first field is sent the second, and from then on only that. A router that
    stands before servers of several models finds the model's name.
    """

    async def tokenize(request: Request, to: Connection) -> None:
        await to.json(200, {"tokens": list(range(len(request.json().get("content", ""))))})

    engine, server = await connect({TOKENIZE: tokenize})
    assert [await engine.count_tokens("four") for _ in range(2)] == [4, 4]
    asked = [request.json() for request in server.asked(TOKENIZE)]
    assert [each.pop("model") for each in asked] == ["m"] * 3
    assert [list(each) for each in asked] == [["prompt"], ["content"], ["content"]]


@pytest.mark.parametrize(
    "answer",
    [replies(404, b""), replies(405, b"{}"), replies(200, b"<html>"), replies(200, b'{"error": "no such endpoint"}')],
)
async def test_a_server_that_cannot_count_is_asked_once(connect: Connect, answer: Answer) -> None:
    """If the server cannot count, the count is estimated and the server is not asked again."""
    engine, server = await connect({TOKENIZE: answer})
    assert await engine.count_tokens("hello") == estimate_tokens("hello")
    asked = len(server.asked(TOKENIZE))
    assert await engine.count_tokens("hello again") == estimate_tokens("hello again")
    assert len(server.asked(TOKENIZE)) == asked


@pytest.mark.parametrize(("status", "code"), [(413, ""), (404, "model_not_found")])
async def test_only_a_text_too_long_to_count_is_estimated(connect: Connect, status: int, code: str) -> None:
    """After a 413 the text is estimated, and the next text is counted by the server again. So it is if the server has
    changed its model.
    """

    async def tokenize(request: Request, to: Connection) -> None:
        if len(request.body) > 1000:
            await to.json(status, {"error": {"code": code}})
        else:
            await to.json(200, {"count": 1})

    engine, _ = await connect({TOKENIZE: tokenize})
    assert await engine.count_tokens("长" * 1000) == 1000
    assert await engine.count_tokens("short") == 1


async def test_the_first_listed_model_is_used_and_remembered(tmp_path: Path) -> None:
    """Without a configured model the server is asked once, and again after a failed request."""
    up = True

    async def chat(request: Request, to: Connection) -> None:
        await (streams(text(request.json()["model"], "stop")) if up else replies(503, b""))(request, to)

    models = replies(200, b'{"data": [{"id": "first"}, {"id": "second"}]}')
    async with fake_server(tmp_path, {MODELS: models, CHAT: chat}) as server:
        engine = OpenAIEngine(server_with(socket_path=server.socket_path))
        for _ in range(2):
            assert (await read(engine))[0].text == "first"
        assert len(server.asked(MODELS)) == 1
        up = False
        with pytest.raises(EngineUnavailable):
            await read(engine)
        assert await engine.identity() == "first"
        assert len(server.asked(MODELS)) == 2


async def test_the_identity_tells_the_weights(tmp_path: Path) -> None:
    """The fingerprint that Parley's server lists is part of the identity, and not of the name in a request."""
    answers = {
        MODELS: replies(200, b'{"data": [{"id": "first", "fingerprint": "1a-int8"}]}'),
        CHAT: streams(text("x", "stop")),
    }
    async with fake_server(tmp_path, answers) as server:
        engine = OpenAIEngine(server_with(socket_path=server.socket_path))
        assert await engine.identity() == "first 1a-int8"
        await read(engine)
        [request] = server.asked(CHAT)
        assert request.json()["model"] == "first"


@pytest.mark.parametrize(
    ("body", "error"),
    [(b'{"data": []}', EngineUnavailable), (b'{"data": null}', EngineUnavailable), (b"<html>", EngineLost)],
)
async def test_a_server_without_models(tmp_path: Path, body: bytes, error: type[Exception]) -> None:
    """An empty list of models raises EngineUnavailable; a malformed one raises EngineLost."""
    async with fake_server(tmp_path, {MODELS: replies(200, body)}) as server:
        with pytest.raises(error):
            await OpenAIEngine(server_with(socket_path=server.socket_path)).identity()


async def test_a_proxy_of_the_environment_is_ignored_on_a_socket(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy variables of the environment do not apply to a Unix socket."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine, _ = await connect({CHAT: streams(text("ok", "stop"))})
    assert (await read(engine))[0].text == "ok"


async def test_a_url_with_a_port_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this machine is reached by its URL alone, past any proxy of the environment."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with (
        fake_server(tmp_path, {CHAT: streams(text("ok", "stop"))}) as fake,
        await asyncio.start_server(fake.serve, "127.0.0.1", 0) as tcp,
    ):
        port = tcp.sockets[0].getsockname()[1]
        engine = OpenAIEngine(server_with(url=f"http://127.0.0.1:{port}/v1", model="m"))
        assert (await read(engine))[0].text == "ok"


@pytest.mark.parametrize("kind", [http_proxy, socks_proxy])
async def test_a_server_elsewhere_is_reached_through_its_proxy(tmp_path: Path, kind: Proxying) -> None:
    """The proxy is asked for the server, whose name it alone knows. If it is gone, the server is unavailable."""
    async with (
        fake_server(tmp_path, {CHAT: streams(text("ok", "stop"))}) as fake,
        await asyncio.start_server(fake.serve, "127.0.0.1", 0) as tcp,
    ):
        url = f"http://model.test:{tcp.sockets[0].getsockname()[1]}/v1"
        async with kind("ann:canary") as proxy:
            through = f"{kind.__name__.removesuffix('_proxy')}://ann:canary@127.0.0.1:{proxy.port}"
            engine = OpenAIEngine(server_with(url=url, model="m", proxy=through.replace("socks:", "socks5:")))
            assert (await read(engine))[0].text == "ok"
            assert len(proxy.asked) == 1
        with pytest.raises(EngineUnavailable):
            await read(engine)


async def test_a_call_cancelled_at_any_moment_disconnects(connect: Connect) -> None:
    """Calls cancelled after any number of event loop turns, up to a hundred, leave no connection open."""
    engine, server = await connect({CHAT: streams(text("a"), text("b"), text("c", "stop"))})
    for turns in range(100):
        call = asyncio.create_task(read(engine))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        await server.settled()


@pytest.mark.parametrize(
    "answer",
    [replies(404, b""), replies(405, b"{}"), replies(200, b"<html>"), replies(200, b"{}"), replies(501, b"")],
)
async def test_a_server_of_another_kind_cannot_forget(connect: Connect, answer: Answer) -> None:
    """Any answer but that of our own server means that nothing was forgotten."""
    engine, _ = await connect({"/forget": answer})
    assert not await engine.forget(["ann"])


async def test_a_server_that_cannot_answer_now_has_not_forgotten(connect: Connect) -> None:
    """A server that is overloaded raises, so that it is told again."""
    engine, _ = await connect({"/forget": replies(503, b"")})
    with pytest.raises(EngineUnavailable):
        await engine.forget(["ann"])


async def test_a_server_without_metrics_has_none(connect: Connect) -> None:
    """Those of a server that has some come as it sends them."""
    engine, _ = await connect({"/metrics": replies(200, b"a 1\n")})
    assert await engine.metrics() == b"a 1\n"


async def test_a_refused_look_for_metrics_is_no_failure(connect: Connect) -> None:
    """A server that is overloaded has not said that it has none."""
    engine, server = await connect({"/metrics": replies(404, b"")})
    assert await engine.metrics() == b""
    server.answers["/metrics"] = replies(503, b"")
    with pytest.raises(EngineUnavailable):
        await engine.metrics()
