"""Intake: only stored messages are acknowledged, and a lost connection is restored."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from bots.slack.adapter import open_slack
from core.admission import Admission
from core.clock import ManualClock
from core.errors import ConfigError
from core.messages import Reply, Turn
from core.store import open_store
from core.worker import Worker
from tests.bots.slack.conftest import LIMITS, Gateway, Open, settings
from tests.fakes.slack.client import FakeSlack
from tests.options import worker_with

HEARD = "I heard: hello 😐"


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


async def no_room(gateway: Gateway, pages: int = 1) -> None:
    await gateway.store.run(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar_one())


@pytest.mark.parametrize("http", [False, True])
async def test_only_stored_messages_are_acknowledged(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """With a full disk Slack gets no acknowledgement, and its next attempt succeeds once there is room."""
    async with open_gateway(http=http) as gateway:
        await no_room(gateway)
        with capture_logs() as logs:
            await slack.say("x" * 12_000)
            await until(lambda: any(entry["event"] == "cannot accept" for entry in logs))
        await no_room(gateway, 100_000)
        (body,) = (await slack.state()).unacknowledged()
        assert len(body["event"]["text"]) == 12_000
        await slack.pull("advance", seconds=3)
        state = await slack.until(lambda state: len(state.bubbles()) == 1)
        assert state.sendings["Ev1"]["attempts"] == 2


async def test_retries_after_an_outage_are_accepted(open_gateway: Open, slack: FakeSlack) -> None:
    """A message sent during an outage is accepted from Slack's retry, which is its only copy."""
    await slack.say("hello")
    async with open_gateway():
        await slack.pull("advance", seconds=3)
        state = await slack.until_shown(HEARD)
        assert state.sendings["Ev1"]["attempts"] == 2


async def test_http_is_not_acknowledged_before_the_bot_is_identified(open_gateway: Open, slack: FakeSlack) -> None:
    """An event that arrives while auth.test fails gets 503, and is answered when Slack sends it again."""
    await slack.pull("fault", method="auth.test", kind="unavailable", times=2)
    async with open_gateway(http=True, listening=False) as gateway:
        await slack.say("hello")
        assert not gateway.front.health().connected
        state = await gateway.until(lambda state: any(bubble["text"] == HEARD for bubble in state.bubbles()))
        assert state.sendings["Ev1"]["attempts"] > 1
        assert gateway.front.health().connected


async def unreachable(_turn: Turn) -> Reply:
    pytest.fail("a turn was handled")


@pytest.mark.parametrize(("revoked", "setting"), [("xoxb", "slack.bot_token"), ("xapp", "slack.app_token")])
async def test_refused_token_is_a_config_error(slack: FakeSlack, tmp_path: str, revoked: str, setting: str) -> None:
    """A refused token ends the front end with the name of the setting, after at most two calls."""
    clock = ManualClock()
    await slack.pull("rules", revoked=[revoked])
    async with (
        open_store(f"sqlite:///{tmp_path}/parley.db") as store,
        open_slack(settings(slack), clock, shared_history=False) as front,
    ):
        worker = Worker(store, unreachable, front.deliveries, clock, worker_with(owner="me"))
        with pytest.raises(ConfigError, match=f"{setting}: Slack says invalid_auth"):
            await front.run(Admission(store, clock, LIMITS, worker))
    assert sum((await slack.state()).calls.values()) <= 2


async def until_refused(gateway: Gateway, error: str) -> None:
    """Wait until the front end has ended because of its token."""
    await asyncio.wait([gateway.taking_in])
    with pytest.raises(ConfigError, match=rf"^slack\.bot_token: Slack says {error}$"):
        gateway.taking_in.result()
    assert not gateway.front.health().connected


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize("error", ["token_revoked", "invalid_auth", "account_inactive"])
async def test_a_revoked_token_is_noticed_within_a_minute(
    open_gateway: Open, slack: FakeSlack, error: str, *, http: bool
) -> None:
    """If Slack refuses the token later, health says so within a minute, and the front end ends with the setting."""
    async with open_gateway(http=http) as gateway:
        await slack.pull("fault", method="*", kind="error", error=error, times=99)
        assert gateway.front.health().connected
        await gateway.advance(60)
        await until_refused(gateway, error)


WORDS = ("fatal_error", "service_unavailable", "team_added_to_org", "org_login_required", "a_new_word", "")
PASSING = [*({"kind": "error", "error": word} for word in WORDS), *({"kind": kind} for kind in ("ratelimited", "cut"))]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
async def test_a_refusal_that_may_pass_is_waited_out(
    open_gateway: Open, slack: FakeSlack, method: str, fault: dict[str, str]
) -> None:
    """A refusal that says nothing against the token does not end the front end, which calls again."""
    await slack.pull("fault", method=method, times=3, **fault)
    async with open_gateway(listening=False) as gateway:
        await gateway.until(lambda state: state.sockets == 1, step=5)
        await slack.say("hello")
        await slack.until_shown(HEARD)
        await slack.pull("fault", method="auth.test", times=2, **fault)
        await gateway.advance(60)
        await until(lambda: not gateway.front.health().connected)
        await gateway.until(lambda _: gateway.front.health().connected, step=5)
        assert not gateway.taking_in.done()


@pytest.mark.parametrize("error", ["missing_scope", "no_permission", "token_expired", "not_authed"])
async def test_a_refusal_that_will_not_pass_ends_the_front_end(
    open_gateway: Open, slack: FakeSlack, error: str
) -> None:
    """What only an operator can change ends the front end, with one line that names the setting."""
    await slack.pull("fault", method="auth.test", kind="error", error=error, times=99)
    async with open_gateway(listening=False) as gateway:
        await until_refused(gateway, error)
        assert (await slack.state()).calls["auth.test"] == 1


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize("event", ["app_uninstalled", "tokens_revoked"])
async def test_a_removed_app_is_noticed_at_once(
    open_gateway: Open, slack: FakeSlack, event: str, *, http: bool
) -> None:
    """When Slack says that the app was removed, its token is tried, and the front end ends without a delay."""
    async with open_gateway(http=http) as gateway:
        await slack.pull("fault", method="*", kind="error", error="account_inactive", times=99)
        await slack.pull("event", event={"type": event})
        await until_refused(gateway, "account_inactive")
        assert gateway.clock.monotonic() == 0
        await slack.until(lambda state: not state.unacknowledged())


async def test_the_revocation_of_another_token_changes_nothing(open_gateway: Open, slack: FakeSlack) -> None:
    """If Slack revokes another token of the app, the bot's is tried and the bot goes on."""
    async with open_gateway() as gateway:
        await slack.pull("event", event={"type": "tokens_revoked", "tokens": {"oauth": ["U2"]}})
        await slack.until(lambda state: state.calls["auth.test"] == 2)
        await slack.say("hello")
        await slack.until_shown(HEARD)
        assert gateway.front.health().connected


async def test_identity_can_be_asked(slack: FakeSlack) -> None:
    """`parley check` learns the bot's account, or the setting at fault."""
    async with open_slack(settings(slack), ManualClock(), shared_history=False) as front:
        assert await front.who() == "UBOT in T1"
        await slack.pull("fault", method="auth.test", kind="unavailable")
        with pytest.raises(ConfigError, match=r"slack\.base_url"):
            await front.who()
        await slack.pull("rules", revoked=["xoxb"])
        with pytest.raises(ConfigError, match=r"slack\.bot_token: Slack says invalid_auth"):
            await front.who()


async def test_a_transport_must_be_configured(slack: FakeSlack) -> None:
    """A bot token alone is a ConfigError, since no message could arrive."""
    plain = settings(slack).model_copy(update={"app_token": settings(slack).signing_secret})
    with pytest.raises(ConfigError):
        async with open_slack(plain, ManualClock(), shared_history=False):
            pass


async def test_refreshed_socket_goes_on(open_gateway: Open, slack: FakeSlack) -> None:
    """When Slack asks for a new connection, one is opened with a new ticket."""
    async with open_gateway():
        await slack.pull("drop", how="refresh")
        await slack.until(lambda state: list(state.tickets.values()) == [False, False] and state.sockets == 1)
        await slack.say("hello")
        await slack.until_shown(HEARD)


async def test_cut_socket_comes_back(open_gateway: Open, slack: FakeSlack) -> None:
    """A cut connection is replaced, and messages sent meanwhile are answered."""
    async with open_gateway() as gateway:
        await slack.pull("drop", how="cut")
        await slack.say("hello")
        await gateway.until(lambda state: state.sockets == 1, step=5)
        await gateway.until(lambda state: any(bubble["text"] == HEARD for bubble in state.bubbles()))


async def test_refused_ticket_is_replaced(open_gateway: Open, slack: FakeSlack) -> None:
    """A refused ticket, which the library retries endlessly, is replaced after 30 seconds."""
    await slack.pull("rules", refused_sockets=1)
    async with open_gateway(listening=False) as gateway:
        await slack.until(lambda state: list(state.tickets.values()) == [False])
        state = await gateway.until(lambda state: state.sockets == 1, step=5)
        assert gateway.clock.monotonic() >= 30
        assert len(state.tickets) == 2
        await slack.say("hello")
        await slack.until_shown(HEARD)


async def away(gateway: Gateway, minutes: int) -> None:
    """Keep Slack out of reach for some minutes, then until a message is answered again."""
    await gateway.slack.pull("rules", refused_sockets=99)
    await gateway.slack.pull("drop", how="cut")
    began = gateway.clock.monotonic()
    await gateway.until(lambda _: gateway.clock.monotonic() - began > 60 * minutes, step=5)
    await gateway.slack.pull("rules", refused_sockets=0)
    await gateway.until(lambda state: state.sockets == 1, step=5)
    await gateway.slack.say("hello")
    await gateway.until(lambda state: any(bubble["text"] == HEARD for bubble in state.bubbles()), step=5)


def gaps(logs: list[MutableMapping[str, Any]]) -> list[float]:
    return [entry["seconds"] for entry in logs if entry["event"].startswith("slack was out of reach")]


async def test_a_long_outage_is_logged(open_gateway: Open, slack: FakeSlack) -> None:
    """After an outage longer than Slack's five minutes of redelivery, one log entry says that messages may be lost."""
    with capture_logs() as logs:
        async with open_gateway() as gateway:
            await away(gateway, minutes=8)
            await gateway.until(lambda _: bool(gaps(logs)), step=5)
            await slack.pull("drop", how="refresh")
            await gateway.until(lambda state: list(state.tickets.values()).count(False) > 2, step=5)
    (gap,) = gaps(logs)
    assert gap >= 8 * 60


async def test_a_short_outage_is_not_logged(open_gateway: Open) -> None:
    """An outage within Slack's redelivery time is not logged as a gap."""
    with capture_logs() as logs:
        async with open_gateway() as gateway:
            await away(gateway, minutes=2)
            for _ in range(5):
                await gateway.advance(5)
                await gateway.clock.until_sleeping()
    assert gaps(logs) == []


async def test_health_tells_a_lost_connection(open_gateway: Open, slack: FakeSlack) -> None:
    """Health reports disconnected as soon as the socket is lost."""
    async with open_gateway() as gateway:
        assert gateway.front.health().connected
        assert gateway.front.health().heard_at is not None
        await slack.pull("rules", refused_sockets=9)
        await slack.pull("drop", how="cut")
        await until(lambda: not gateway.front.health().connected)


async def test_health_tells_that_calls_fail(open_gateway: Open, slack: FakeSlack) -> None:
    """Health reports disconnected within a minute if Slack answers no calls, although the socket is open."""
    async with open_gateway() as gateway:
        await slack.pull("fault", method="auth.test", kind="unavailable")
        await gateway.advance(60)
        await until(lambda: not gateway.front.health().connected)
        assert (await slack.state()).sockets == 1
        await gateway.advance(1)
        await until(lambda: gateway.front.health().connected)


async def test_no_log_holds_tokens_or_messages(
    open_gateway: Open, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    """No log holds a token or a person's text, whether calls succeed or fail."""
    caplog.set_level("INFO")
    for method in ("chat.postMessage", "chat.update"):
        await slack.pull("fault", method=method, kind="error", error="internal_error")
    with capture_logs() as logs:
        async with open_gateway(http=True) as gateway:
            await slack.say("canary")
            await gateway.until(lambda state: any("canary" in bubble["text"] for bubble in state.bubbles()))
            await slack.pull("forge", url=gateway.url, text="canary")
    said = caplog.text + str(logs)
    assert "wrong signature" in said
    assert not [secret for secret in ("canary", "xoxb-", "xapp-", "fake-signing-secret") if secret in said]
