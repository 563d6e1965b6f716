"""A limit of the tries to sign in: passwords must not be guessed, nor may guessing keep the processor busy."""

from cachetools import TTLCache

from core.clock import Clock
from core.serving.limits import client_at

MOST_TRIES, WINDOW = 5, 900.0
"""Tries that fail, from one address, until it must wait for so many seconds."""
MOST_UNDER_WAY = 4
"""Tries that are being checked at the same time, from all addresses. Each takes 64 MiB and some 50 ms."""
ADDRESSES = 10_000


class Tries:
    """Counts the tries of each address. A network of IPv6 counts as one."""

    def __init__(self, clock: Clock) -> None:
        self._counts: TTLCache[str, int] = TTLCache(ADDRESSES, WINDOW, timer=clock.monotonic)
        self._under_way = 0

    def begin(self, address: str) -> bool:
        """Count a try before it is checked, so that tries at the same moment count too. False if it is one too many."""
        client = client_at(address)
        count = self._counts.get(client, 0)
        if count >= MOST_TRIES or self._under_way >= MOST_UNDER_WAY:
            return False
        self._counts[client] = count + 1
        self._under_way += 1
        return True

    def end(self, address: str, *, has_succeeded: bool) -> None:
        """Note that a try was checked. One that succeeds lets the address begin anew."""
        self._under_way -= 1
        if has_succeeded:
            self._counts.pop(client_at(address), None)
