"""The fake Slack has the limits and weak guarantees of the real one."""

import aiohttp
import httpx
import pytest

from tests.fakes.slack.client import FakeSlack
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN


async def call(slack: FakeSlack, method: str, **params: object) -> httpx.Response:
    return await call_as(BOT_TOKEN, slack, method, **params)


async def call_as(token: str, slack: FakeSlack, method: str, **params: object) -> httpx.Response:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        return await http.post(f"{slack.url}/api/{method}", json=params)


async def post(slack: FakeSlack, **params: object) -> str:
    return str((await call(slack, "chat.postMessage", channel="C1", **params)).json()["ts"])


async def begin(slack: FakeSlack) -> str:
    to = {"recipient_team_id": "T1", "recipient_user_id": "U1"}
    return str((await call(slack, "chat.startStream", channel="D1", **to)).json()["ts"])


async def refused(slack: FakeSlack, method: str, ts: str, **params: object) -> str | None:
    """The error that Slack answers with, None if it accepts the call."""
    answer = (await call(slack, method, channel="D1", ts=ts, **params)).json()
    return None if answer["ok"] else str(answer["error"])


async def socket(slack: FakeSlack, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    url = (await call_as(APP_TOKEN, slack, "apps.connections.open")).json()["url"]
    opened = await session.ws_connect(url)
    assert (await opened.receive_json())["type"] == "hello"
    return opened


async def test_event_is_retried_until_it_is_acknowledged(slack: FakeSlack) -> None:
    """An unacknowledged event is retried after three seconds, a minute and five minutes, and then lost."""
    async with aiohttp.ClientSession() as session:
        link = await socket(slack, session)
        await slack.say("hello")
        seen = [await link.receive_json()]
        for seconds in (3, 60, 240):
            await slack.pull("advance", seconds=seconds)
            seen.append(await link.receive_json())
        assert [frame.get("retry_attempt", 0) for frame in seen] == [0, 1, 2, 3]
        assert len({frame["payload"]["event_id"] for frame in seen}) == 1
        await slack.pull("advance", seconds=9_999)
        assert (await slack.state()).sendings["Ev1"]["attempts"] == 4


async def test_acknowledged_event_does_not_come_again(slack: FakeSlack) -> None:
    """Returning an envelope's id acknowledges the event and ends its retries."""
    async with aiohttp.ClientSession() as session:
        link = await socket(slack, session)
        await slack.say("hello")
        await link.send_json({"envelope_id": (await link.receive_json())["envelope_id"]})
        await slack.until(lambda state: not state.unacknowledged())
        await slack.pull("advance", seconds=9_999)
        assert (await slack.state()).sendings["Ev1"]["attempts"] == 1


async def test_a_lost_socket_gets_no_events(slack: FakeSlack) -> None:
    """After a connection has broken, as that of a killed app, events go to the others."""
    async with aiohttp.ClientSession() as session, aiohttp.ClientSession() as killed:
        link, lost = await socket(slack, session), await socket(slack, killed)
        assert lost._response.connection is not None
        assert lost._response.connection.transport is not None
        lost._response.connection.transport.abort()
        await slack.until(lambda state: state.sockets == 1)
        for text in ("one", "two"):
            await slack.say(text)
            assert (await link.receive_json())["payload"]["event"]["text"] == text


async def test_ticket_is_good_for_one_socket(slack: FakeSlack) -> None:
    """The second connection with a ticket is refused."""
    url = (await call_as(APP_TOKEN, slack, "apps.connections.open")).json()["url"]
    async with aiohttp.ClientSession() as session:
        await session.ws_connect(url)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_mention_emits_two_events(slack: FakeSlack) -> None:
    """A mention in a channel emits app_mention and message; in a direct message it emits one event."""
    await slack.mention("hello")
    await slack.say("<@UBOT> hello")
    told = [(sending["body"]["event"]["type"], sending["body"]["event"]["channel"]) for sending in
            (await slack.state()).sendings.values()]  # fmt: skip
    assert told == [("app_mention", "C1"), ("message", "C1"), ("message", "D1")]


async def test_bot_hears_itself(slack: FakeSlack) -> None:
    """The bot receives its own posts as messages with a bot_id and its edits as hidden changes."""
    ts = await post(slack, text="hello")
    await call(slack, "chat.update", channel="C1", ts=ts, text="hello you")
    events = [sending["body"]["event"] for sending in (await slack.state()).sendings.values()]
    assert [(event.get("bot_id"), event.get("subtype"), event.get("hidden")) for event in events] == [
        ("BBOT", None, None),
        (None, "message_changed", True),
    ]


async def test_posts_are_not_idempotent(slack: FakeSlack) -> None:
    """A post whose answer is lost has taken effect, and repeating it makes a second message."""
    await slack.pull("fault", method="chat.postMessage", kind="lost")
    with pytest.raises(httpx.RemoteProtocolError):
        await post(slack, text="hello")
    await post(slack, text="hello")
    assert [bubble["text"] for bubble in (await slack.state()).bubbles()] == ["hello", "hello"]


async def test_cut_call_has_no_effect(slack: FakeSlack) -> None:
    """A call that is cut off takes no effect."""
    await slack.pull("fault", method="chat.postMessage", kind="cut")
    with pytest.raises(httpx.RemoteProtocolError):
        await post(slack, text="hello")
    assert not (await slack.state()).bubbles()


async def test_edit_without_blocks_keeps_them(slack: FakeSlack) -> None:
    """An edit removes the blocks only if it has an empty list of them."""
    block = {"type": "markdown", "text": "block"}
    ts = await post(slack, text="notice", blocks=[block])
    await call(slack, "chat.update", channel="C1", ts=ts, text="words")
    assert [bubble["text"] for bubble in (await slack.state()).bubbles()] == ["block"]
    await call(slack, "chat.update", channel="C1", ts=ts, text="words", blocks=[])
    assert [bubble["text"] for bubble in (await slack.state()).bubbles()] == ["words"]


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("chat.postMessage", {"channel": "C9", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C1"}, "no_text"),
        ("chat.postMessage", {"channel": "C1", "text": "x", "markdown_text": "x"}, "markdown_text_conflict"),
        ("chat.postMessage", {"channel": "C1", "markdown_text": "x" * 12_001}, "msg_too_long"),
        ("chat.update", {"channel": "C1", "ts": "1.000001", "text": "x"}, "message_not_found"),
        ("chat.delete", {"channel": "C1", "ts": "1.000001"}, "message_not_found"),
        ("chat.startStream", {"channel": "C1", "recipient_user_id": "U1"}, "missing_recipient_team_id"),
        ("chat.startStream", {"channel": "C1", "recipient_team_id": "T1"}, "missing_recipient_user_id"),
        ("chat.appendStream", {"channel": "C1", "ts": "1.000001", "markdown_text": "x"}, "message_not_found"),
        ("chat.unfurl", {"channel": "C1"}, "unknown_method"),
    ],
)
async def test_bad_calls_are_refused(slack: FakeSlack, method: str, params: dict[str, str], error: str) -> None:
    """Bad calls get the errors that Slack's documentation and its users name."""
    assert (await call(slack, method, **params)).json() == {"ok": False, "error": error}


async def test_edit_has_a_lower_limit_than_a_post(slack: FakeSlack) -> None:
    """A text that can be posted may be too long for an edit."""
    ts = await post(slack, text="x" * 4_001)
    assert (await call(slack, "chat.update", channel="C1", ts=ts, text="x" * 4_001)).json()["error"] == "msg_too_long"


async def test_wrong_token_is_refused(slack: FakeSlack) -> None:
    """Each method accepts only its own kind of token."""
    assert (await call_as("xoxb-wrong", slack, "auth.test")).json()["error"] == "invalid_auth"
    assert (await call(slack, "apps.connections.open")).json()["error"] == "invalid_auth"


async def test_rates_are_limited(slack: FakeSlack) -> None:
    """The fifty-first edit in a minute gets 429 with the seconds to wait."""
    await slack.pull("rules", limited=True)
    ts = await post(slack, text="hello")
    for _ in range(50):
        assert (await call(slack, "chat.update", channel="C1", ts=ts, text="x")).status_code == 200
    refused = await call(slack, "chat.update", channel="C1", ts=ts, text="x")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    await slack.pull("advance", seconds=61)
    assert (await call(slack, "chat.update", channel="C1", ts=ts, text="x")).status_code == 200


async def test_response_url_wears_out(slack: FakeSlack) -> None:
    """A response URL works five times within half an hour."""
    first, second = [await slack.pull("command", channel="C1", user="U1", command="/parley", text="") for _ in range(2)]
    async with httpx.AsyncClient() as http:
        codes = [(await http.post(f"{slack.url}/respond/{first}", json={"text": "x"})).status_code for _ in range(6)]
        await slack.pull("advance", seconds=1_801)
        late = (await http.post(f"{slack.url}/respond/{second}", json={"text": "x"})).status_code
    assert (codes, late) == ([200] * 5 + [404], 404)


async def test_thread_is_read_with_its_metadata(slack: FakeSlack) -> None:
    """conversations.replies returns one thread from the given time on, with metadata if asked for."""
    root = await slack.say("root", channel="C1")
    await slack.say("elsewhere", channel="C1")
    metadata = {"event_type": "t", "event_payload": {"tag": "x"}}
    ts = await post(slack, text="reply", thread_ts=root, metadata=metadata)
    found = (await call(slack, "conversations.replies", channel="C1", ts=root, include_all_metadata=True)).json()
    assert [(message["ts"], message.get("metadata")) for message in found["messages"]] == [(root, None), (ts, metadata)]
    assert len((await call(slack, "conversations.replies", channel="C1", ts=root, oldest=ts)).json()["messages"]) == 1


async def test_stream_grows_until_it_is_stopped(slack: FakeSlack) -> None:
    """An open stream can be neither edited nor deleted; a stopped one can, but it cannot be appended to."""
    ts = await begin(slack)
    for text in ("one ", "two"):
        assert await refused(slack, "chat.appendStream", ts, markdown_text=text) is None
    state = await slack.state()
    assert [bubble["text"] for bubble in state.bubbles()] == ["one two"]
    assert state.streams == [ts]
    assert await refused(slack, "chat.appendStream", ts, markdown_text="x" * 12_001) == "msg_too_long"
    assert await refused(slack, "chat.appendStream", ts) == "no_text"
    assert await refused(slack, "chat.update", ts, text="x") == "streaming_state_conflict"
    assert await refused(slack, "chat.delete", ts) == "cant_delete_message"
    assert await refused(slack, "chat.stopStream", ts) is None
    for method in ("chat.appendStream", "chat.stopStream"):
        assert await refused(slack, method, ts, markdown_text="x") == "message_not_in_streaming_state"
    assert await refused(slack, "chat.update", ts, text="three") is None
    assert [bubble["text"] for bubble in (await slack.state()).bubbles()] == ["three"]
    assert await refused(slack, "chat.delete", ts) is None
    assert not (await slack.state()).bubbles()


@pytest.mark.parametrize(("pause", "appends"), [(29, 10), (31, 0)])
async def test_stream_ends_by_itself(slack: FakeSlack, pause: int, appends: int) -> None:
    """A stream ends after five minutes in all, or after half a minute without an append."""
    ts = await begin(slack)
    taken = -1
    error = None
    while error is None:
        taken += 1
        await slack.pull("advance", seconds=pause)
        error = await refused(slack, "chat.appendStream", ts, markdown_text="x ")
    assert (taken, error) == (appends, "message_not_in_streaming_state")
    assert not (await slack.state()).streams
    assert await refused(slack, "chat.update", ts, text="x") is None


async def test_stream_shows_previews_of_its_links(slack: FakeSlack) -> None:
    """Link previews cannot be turned off for a stream; for a post they can."""
    ts = await begin(slack)
    await call(slack, "chat.appendStream", channel="D1", ts=ts, markdown_text="https://evil.example")
    quiet = {"unfurl_links": False, "unfurl_media": False}
    await post(slack, text="https://evil.example", **quiet)
    assert [bubble["previews_links"] for bubble in (await slack.state()).bubbles()] == [True, False]
