"""The entries of `engine.url`: base URLs of model servers, each with a weight if it is not 1.

The notation is nginx's: "http://10.0.0.5:8000/v1 weight=2".
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MAX_WEIGHT: Final = 256
NOTATION: Final = 'should be like "http://10.0.0.5:8000/v1 weight=2"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEntry:
    """A server gets conversations in proportion to its `weight`, and none if that is 0."""

    url: str
    weight: int = 1

    def __str__(self) -> str:
        return self.url if self.weight == 1 else f"{self.url} weight={self.weight}"

    @property
    def name(self) -> str:
        """Host and port, and what the path has before /v1, as logs and metrics name the server."""
        return self.url.partition("://")[2].removesuffix("/v1")


def parse_server(text: str) -> ServerEntry:
    """Raises ValueError."""
    url, *parameters = text.split()
    if not parameters:
        return ServerEntry(url=base_url(url))
    name, _, value = parameters[0].partition("=")
    if len(parameters) > 1 or name != "weight":
        raise ValueError(NOTATION)
    if not (value.isascii() and value.isdigit() and int(value) <= MAX_WEIGHT):
        raise ValueError(f"has a weight that is no whole number from 0 to {MAX_WEIGHT}")
    return ServerEntry(url=base_url(url), weight=int(value))


def checked_servers(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The entries in their shortest form. Raises ValueError if one is wrong or given twice, or if no server is left."""
    servers = [parse_server(entry) for entry in entries]
    if len({server.url for server in servers}) < len(servers):
        raise ValueError("names a server twice; give it a weight instead")
    if servers and not any(server.weight for server in servers):
        raise ValueError("gives every server the weight 0, so that none is left")
    return tuple(map(str, servers))


def base_url(url: str) -> str:
    """A base URL without a slash at its end. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.path.rstrip("/").endswith("/v1"):
        raise ValueError("should be a base URL like http://127.0.0.1:8000/v1")
    if parts.port == 0 or parts.query or parts.fragment:
        raise ValueError("should end in /v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("should contain no secret; the key has its own option, engine.api_key")
    return url.rstrip("/")
