"""HTTP sessions, perhaps through a proxy of HTTP or SOCKS."""

from collections.abc import Mapping
from ssl import SSLContext

import aiohttp

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


def open_session(
    proxy: str,
    timeout: aiohttp.ClientTimeout,
    *,
    tls: SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> aiohttp.ClientSession:
    """A session whose calls all go through the proxy at a URL, or none if it is empty. The proxy resolves names.

    Without `tls` certificates are checked against those of the system.
    """
    if not proxy.startswith("socks"):
        connector = aiohttp.TCPConnector(ssl=tls or True)
        return aiohttp.ClientSession(connector=connector, proxy=proxy or None, timeout=timeout, headers=headers)
    plain = proxy.replace("socks5h://", "socks5://", 1)
    through = aiohttp_socks.ProxyConnector.from_url(plain, rdns=True, ssl=tls or True)
    return aiohttp.ClientSession(connector=through, timeout=timeout, headers=headers)
