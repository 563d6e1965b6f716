"""Slack through a proxy: the Web API and the socket. The server's name is known to the proxy alone."""

import gc
import socket
from urllib.parse import urlsplit

import pytest

from bots.proxies import Proxies
from bots.slack.adapter import open_slack
from config.settings import SlackSettings
from core.clock import SystemClock
from core.errors import ConfigError
from tests.bots.slack.conftest import Open
from tests.bots.telegram.test_proxy import KINDS, LEAKING, proxied
from tests.fakes.slack.client import FakeSlack


@pytest.mark.parametrize("scheme", KINDS)
async def test_calls_and_the_socket_go_through_the_proxy(
    open_gateway: Open, slack: FakeSlack, scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The whole way of a message leads through the proxy, whose password is in no log."""
    port = urlsplit(slack.url).port
    await slack.pull("name", host="slack.test")
    async with (
        proxied(scheme) as (proxy, proxies),
        open_gateway(proxies=proxies, base_url=f"http://slack.test:{port}/api"),
    ):
        await slack.say("hello")
        await slack.until_shown("I heard: hello 😐")
        assert set(proxy.asked) == {f"slack.test:{port}"}
        before = len(proxy.asked)
        await slack.pull("drop", how="refresh")
        await slack.until(
            lambda state: len(state.tickets) == 2 and not any(state.tickets.values()) and state.sockets == 1
        )
        assert len(proxy.asked) > before
    out, err = capfd.readouterr()
    assert "canary" not in out + err


async def test_exceptions_are_reached_directly(
    open_gateway: Open, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the setting nor the environment, which the library would follow, leads to this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with proxied("http") as (proxy, proxies), open_gateway(proxies=proxies):
        await slack.say("hello")
        await slack.until_shown("I heard: hello 😐")
        assert proxy.asked == []


@LEAKING
@pytest.mark.parametrize("scheme", KINDS)
async def test_a_wrong_password_is_a_fault_of_the_setting(scheme: str) -> None:
    """`parley check` says in one line that the proxy refuses, without the password."""
    settings = SlackSettings.model_validate({"bot_token": "x", "app_token": "x", "base_url": "https://slack.test/api"})
    async with proxied(scheme, "ann:wrong-canary") as (proxy, proxies):
        async with open_slack(settings, SystemClock(), shared_history=False, proxies=proxies) as front:
            with pytest.raises(ConfigError) as caught:
                await front.who()
        said = str(caught.value)
        del caught  # its traceback holds the connection
        gc.collect()
        assert proxy.asked == []
    assert said == "network.proxy: the proxy does not accept the user name and password"


async def test_an_unreachable_proxy_is_named() -> None:
    """A proxy that is down is told from a Slack that is down."""
    settings = SlackSettings.model_validate({"bot_token": "x", "app_token": "x"})
    with socket.socket() as taken:  # nobody else gets the port, and nobody listens there
        taken.bind(("127.0.0.1", 0))
        proxies = Proxies(f"http://127.0.0.1:{taken.getsockname()[1]}")
        async with open_slack(settings, SystemClock(), shared_history=False, proxies=proxies) as front:
            with pytest.raises(ConfigError, match=r"network\.proxy: the proxy does not connect"):
                await front.who()
