"""Who a request comes from."""

import pytest
from starlette.requests import Request

from core.serving.callers import bearer, is_local


def request(client: str | None, **headers: str) -> Request:
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": None if client is None else (client, 1), "headers": encoded})


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_a_loopback_address_is_local(client: str) -> None:
    """On IPv4, on IPv6, and on a socket of both."""
    assert is_local(request(client, host="localhost"))


@pytest.mark.parametrize("client", ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "2001:db8::1", "testclient", "", None])
def test_another_address_is_not_local(client: str | None) -> None:
    """Nor is what is no address: a proxy may name anything."""
    assert not is_local(request(client))


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip", "via"])
def test_what_a_proxy_passes_on_is_not_local(header: str) -> None:
    """Whatever it says of the client: a client can write these headers too."""
    assert not is_local(request("127.0.0.1", **{header: "127.0.0.1"}))


@pytest.mark.parametrize(
    ("header", "key"),
    [("Bearer parley_x", "parley_x"), ("bearer  k ", "k"), ("Basic k", ""), ("parley_x", ""), ("Bearer", ""), ("", "")],
)
def test_the_key_is_read_from_the_header(header: str, key: str) -> None:
    """The scheme may be written in any case; another scheme has no key."""
    assert bearer(request("127.0.0.1", authorization=header)) == key
