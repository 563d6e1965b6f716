"""Telegram through a proxy. The server's name is known to the proxy alone."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bots.proxies import Proxies
from bots.telegram.adapter import open_telegram
from config.settings import TelegramSettings
from core.clock import SystemClock
from core.errors import ConfigError
from tests.bots.telegram.conftest import done, open_gateway
from tests.fakes.proxies import FakeProxy, http_proxy, socks_proxy
from tests.fakes.telegram.control import Account

LOGIN = "ann:canary%21"
LEAKING = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The libraries leave the socket of a refused SOCKS login to the garbage collector, which these tests call."""
KINDS = {"http": http_proxy, "socks5": socks_proxy, "socks5h": socks_proxy}


@asynccontextmanager
async def proxied(scheme: str, login: str = LOGIN) -> AsyncIterator[tuple[FakeProxy, Proxies]]:
    """A proxy that takes the right login, and the way to it with `login`."""
    async with KINDS[scheme]("ann:canary!") as proxy:
        yield proxy, Proxies(f"{scheme}://{login}@127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("scheme", KINDS)
async def test_polling_and_answers_go_through_the_proxy(
    account: Account, scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The whole way of a message leads through the proxy, whose password is in no log."""
    port = account.base_url.rpartition(":")[2]
    async with (
        proxied(scheme) as (proxy, proxies),
        open_gateway(account, base_url=f"http://telegram.test:{port}", proxies=proxies),
    ):
        await account.say("hello", person=5)
        await account.until(done)
        assert set(proxy.asked) == {f"telegram.test:{port}"}
    out, err = capfd.readouterr()
    assert "canary" not in out + err


async def test_an_exception_is_reached_directly(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is reached without the proxy, also if the environment names one."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with proxied("http") as (proxy, proxies), open_gateway(account, proxies=proxies):
        await account.say("hello", person=5)
        await account.until(done)
        assert proxy.asked == []


@LEAKING
@pytest.mark.parametrize("scheme", KINDS)
async def test_a_wrong_password_is_a_fault_of_the_setting(scheme: str) -> None:
    """`parley check` says in one line that the proxy refuses, without the password."""
    settings = TelegramSettings.model_validate({"token": "1:x", "base_url": "https://telegram.test"})
    async with proxied(scheme, "ann:wrong-canary") as (proxy, proxies):
        async with open_telegram(settings, SystemClock(), proxies=proxies) as telegram:
            with pytest.raises(ConfigError) as caught:
                await telegram.who()
        said = str(caught.value)
        del caught  # its traceback holds the connection
        gc.collect()
        assert proxy.asked == []
    assert said == "network.proxy: the proxy does not accept the user name and password"


async def test_https_is_tunnelled() -> None:
    """For https a proxy of HTTP is asked to connect, and sees nothing of the call: here it leads to no server."""
    settings = TelegramSettings.model_validate({"token": "1:x", "base_url": "https://telegram.test:9"})
    async with proxied("http") as (proxy, proxies), open_telegram(settings, SystemClock(), proxies=proxies) as telegram:
        with pytest.raises(ConfigError):
            await telegram.who()
        assert proxy.asked == ["telegram.test:9"]
