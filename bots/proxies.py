"""The proxy for an address: that of `network.proxy`, else that of the environment, as curl understands its variables.

Loopback addresses, and those that NO_PROXY names, are reached without one. Names are resolved by the proxy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from config.settings import NetworkSettings, proxy_url
from core.addresses import is_loopback
from core.errors import ConfigError, ProxyFailed

SETTING = "network.proxy"
EXTRA = ("aiohttp_socks", "socksio")
"""Packages of the extra "socks"."""
LIKE_HTTP = {"ws": "http", "wss": "https"}
RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy, and the setting or variable that names it. The URL may hold a password, so it is shown without."""

    url: str = field(repr=False)
    origin: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} ({self.origin})"

    @property
    def is_socks(self) -> bool:
        return self.url.startswith("socks")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of this process; `configured` is the setting, or empty."""

    configured: str = field(default="", repr=False)

    def of(self, address: str) -> Proxy | None:
        """The proxy for a URL; None if there is none. Raises ConfigError if it cannot be used."""
        parts = urlsplit(address)
        if is_loopback(address) or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        proxy = Proxy(url=self.configured, origin=SETTING) if self.configured else _of_environment(parts.scheme)
        if proxy is not None and proxy.is_socks and not all(map(find_spec, EXTRA)):
            raise ConfigError(proxy.origin, "a SOCKS proxy needs the extra socks: pip install aiohttp-socks socksio")
        return proxy

    def url_of(self, address: str) -> str:
        """The URL of that proxy; empty if there is none. Raises ConfigError if it cannot be used."""
        proxy = self.of(address)
        return proxy.url if proxy else ""

    def variables(self, address: str) -> Mapping[str, str]:
        """Variables for a program that downloads from an address and goes by its environment."""
        proxy = self.of(address)
        bypassed = ",".join(filter(None, (getproxies_environment().get("no"), "localhost,127.0.0.1,::1")))
        found = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), self.configured) if self.configured else {}
        # The downloader of Hugging Face's chunks has a proxy of HTTP only.
        plain = {"HF_HUB_DISABLE_XET": "1"} if proxy is not None and proxy.is_socks else {}
        return {**found, **plain, "no_proxy": bypassed}


ENVIRONMENT = Proxies()


def proxies_of(settings: NetworkSettings) -> Proxies:
    return Proxies(settings.proxy.get_secret_value())


def refusal_of_proxy(error: Exception) -> ProxyFailed:
    """The failure for a library's error about the proxy, whose own words are not quoted."""
    said = str(error).lower()
    is_login = "407" in said or "authentication" in said or "password" in said
    reason = "the proxy does not accept the user name and password" if is_login else "the proxy does not connect"
    return ProxyFailed(retry_after=RETRY_AFTER, reason=reason)


def _of_environment(scheme: str) -> Proxy | None:
    """The proxy of https_proxy and the like for a scheme, else that of all_proxy. Small letters win over capitals."""
    found = getproxies_environment()
    for kind in (LIKE_HTTP.get(scheme, scheme), "all"):
        if url := found.get(kind):
            name = f"{kind}_proxy".upper()
            try:
                return Proxy(url=proxy_url(url if "://" in url else f"http://{url}"), origin=name)
            except ValueError as error:
                raise ConfigError(name, str(error)) from None
    return None
