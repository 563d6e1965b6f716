"""How much of an HTTP server its clients may hold, and for how long."""

import ipaddress
import resource
from dataclasses import dataclass, replace

KEEP_FREE = 2
"""One file descriptor in so many may be a client's connection: files, the database and calls need some too."""
CLIENT_BITS = 64
"""One client on IPv6 has a network of this prefix length, and every address in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """`header_seconds` begin when a connection may send a request, `body_seconds` with the end of its header.

    `write_seconds` is how long a client may leave a response unread. `held_bytes` is the memory for request bodies that
    are being received or answered. The limits per address do not count a proxy's connections, only its clients' bytes.
    """

    connections: int = 128
    connections_per_address: int = 64
    header_bytes: int = 16_384
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    write_seconds: float = 20.0
    held_bytes: int = 16 << 20
    held_bytes_per_address: int = 4 << 20


def within_descriptors(limits: HttpLimits) -> HttpLimits:
    """The limits with at most half of this process's file descriptors for connections."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=min(limits.connections, max(1, allowed // KEEP_FREE)))


def client_at(address: str) -> str:
    """The client that an address belongs to: the address itself, or its network on IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004  IPv4
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed.packed, CLIENT_BITS), strict=False))
