"""Which proxy leads to an address, and that its password is shown nowhere."""

import pytest

from bots import proxies
from bots.proxies import ENVIRONMENT, Proxies, Proxy
from core.errors import ConfigError

VARIABLES = [name for kind in ("http", "https", "all", "no") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
SECRET = Proxies("socks5://ann:canary@proxy.test:1080")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def url(found: Proxy | None) -> str:
    return found.url if found else ""


@pytest.mark.parametrize(
    ("variables", "address", "expected"),
    [
        ({}, "https://slack.com/api", ""),
        ({"HTTPS_PROXY": "http://p:1"}, "https://slack.com/api", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://wss-primary.slack.com/link", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://slack.com", ""),
        ({"HTTP_PROXY": "http://p:1"}, "ws://slack.test/link", "http://p:1"),
        ({"ALL_PROXY": "socks5h://p:1"}, "https://slack.com/api", "socks5h://p:1"),
        ({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https://slack.com", "http://q:1"),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:1"}, "https://slack.com", "http://q:1"),
        ({"HTTPS_PROXY": "p:1"}, "https://slack.com", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "slack.com"}, "https://slack.com/api", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.org, .slack.com"}, "wss://a.slack.com/link", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "slack.com"}, "https://notslack.com", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://slack.com", ""),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, "https://localhost:8081", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://127.0.0.1:8081/bot", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:8081/bot", ""),
    ],
)
def test_the_environment_names_proxies(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str, expected: str
) -> None:
    """Variables are read as curl reads them; this machine is reached without a proxy."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert url(ENVIRONMENT.of(address)) == expected


def test_the_setting_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """network.proxy replaces the variables, except NO_PROXY."""
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    monkeypatch.setenv("NO_PROXY", "slack.com")
    assert url(SECRET.of("https://api.telegram.org")) == "socks5://ann:canary@proxy.test:1080"
    assert SECRET.of("https://slack.com") is None
    assert SECRET.of("http://127.0.0.1:1") is None


def test_a_password_is_not_shown() -> None:
    """Neither text form holds user or password."""
    found = SECRET.of("https://slack.com")
    assert str(found) == "socks5://proxy.test:1080 (network.proxy)"
    assert "canary" not in repr(found) + repr(SECRET)


def test_socks_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages a SOCKS proxy is a setting to correct; a proxy of HTTP needs none of them."""
    monkeypatch.setattr(proxies, "EXTRA", ("no_such_package",))
    with pytest.raises(ConfigError, match=r"network\.proxy: .* pip install aiohttp-socks socksio"):
        SECRET.of("https://slack.com")
    assert Proxies("http://p:1").of("https://slack.com") is not None


def test_a_bad_variable_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of an unknown kind is a fault of its variable, whose password is not shown."""
    monkeypatch.setenv("ALL_PROXY", "socks4://ann:canary@p:1")
    with pytest.raises(ConfigError, match="ALL_PROXY: should be like") as caught:
        ENVIRONMENT.of("https://slack.com")
    assert "canary" not in str(caught.value)


def test_downloads_go_by_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that downloads is given the proxy in its environment, and this machine as an exception."""
    monkeypatch.setenv("NO_PROXY", "mirror.test")
    assert Proxies("http://p:1").variables("https://huggingface.co") == {
        "http_proxy": "http://p:1",
        "https_proxy": "http://p:1",
        "all_proxy": "http://p:1",
        "no_proxy": "mirror.test,localhost,127.0.0.1,::1",
    }
    assert SECRET.variables("https://huggingface.co")["HF_HUB_DISABLE_XET"] == "1"
    assert set(ENVIRONMENT.variables("https://huggingface.co")) == {"no_proxy"}
