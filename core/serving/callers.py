"""Who sends a request: a program on this machine, or one that presents a key."""

from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""Headers that proxies add, and that programs on the same machine have no reason to send."""


def bearer(request: Request) -> str:
    """The key of an `Authorization: Bearer` header (RFC 6750); empty if there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def is_local(request: Request) -> bool:
    """Whether a program on this machine sends the request by itself.

    What a proxy on this machine passes on is not local, whether the proxy is trusted or not: otherwise everybody whom
    it lets in would be. A proxy that adds none of those headers cannot be told from a local program.
    """
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
