"""HTTP sessions for Slack, perhaps through a proxy.

A session has its proxy itself. The library takes the one of HTTPS_PROXY for each call, whatever NO_PROXY says
(slack_sdk/proxy_env_variable_loader.py, 3.47), so its own proxies are switched off.
"""

import aiohttp

from bots.proxies import Proxy

try:
    import aiohttp_socks
except ImportError:  # without the extra "socks" there is no SOCKS proxy either: bots/proxies.py checks that
    SOCKS_ERRORS: tuple[type[Exception], ...] = ()
else:
    SOCKS_ERRORS = (aiohttp_socks.ProxyError, aiohttp_socks.ProxyConnectionError, aiohttp_socks.ProxyTimeoutError)

PROXY_ERRORS: tuple[type[Exception], ...] = (
    aiohttp.ClientHttpProxyError,
    aiohttp.ClientProxyConnectionError,
    *SOCKS_ERRORS,
)
"""Errors of a connection whose proxy is at fault."""
CALL_SECONDS = 30.0
WHOLE_CALL = aiohttp.ClientTimeout(total=CALL_SECONDS)
NO_LIMIT = aiohttp.ClientTimeout(total=None)


def open_session(proxy: Proxy | None, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """A session whose calls all go through the proxy. Names are resolved there."""
    if proxy is None or not proxy.is_socks:
        return aiohttp.ClientSession(proxy=proxy.url if proxy else None, timeout=timeout)
    plain = proxy.url.replace("socks5h://", "socks5://", 1)
    return aiohttp.ClientSession(connector=aiohttp_socks.ProxyConnector.from_url(plain, rdns=True), timeout=timeout)
