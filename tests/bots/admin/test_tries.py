"""Tries to sign in are limited for each address, and at the same time."""

from bots.admin.tries import MOST_TRIES, MOST_UNDER_WAY, WINDOW, Tries
from core.clock import ManualClock


def test_tries_at_the_same_moment_count() -> None:
    """An address that sends all its tries at once has no more of them."""
    tries = Tries(ManualClock())
    for _ in range(MOST_TRIES):
        assert tries.begin("192.0.2.1")
        tries.end("192.0.2.1", has_succeeded=False)
    assert not tries.begin("192.0.2.1")
    assert tries.begin("192.0.2.2")


def test_few_tries_are_checked_at_once() -> None:
    """Each needs memory: those of many addresses must wait for their turn, which comes when one has ended."""
    tries = Tries(ManualClock())
    assert all(tries.begin(f"192.0.2.{number}") for number in range(MOST_UNDER_WAY))
    assert not tries.begin("198.51.100.1")
    tries.end("192.0.2.0", has_succeeded=False)
    assert tries.begin("198.51.100.1")


def test_a_network_is_one_client() -> None:
    """Somebody with a network of IPv6 has no more tries than others."""
    tries = Tries(ManualClock())
    for number in range(MOST_TRIES):
        assert tries.begin(f"2001:db8::{number}")
        tries.end(f"2001:db8::{number}", has_succeeded=False)
    assert not tries.begin("2001:db8::ffff")


def test_the_wait_ends() -> None:
    """After the window an address may try again."""
    clock = ManualClock()
    tries = Tries(clock)
    for _ in range(MOST_TRIES):
        tries.begin("192.0.2.1")
        tries.end("192.0.2.1", has_succeeded=False)
    clock.advance(WINDOW + 1)
    assert tries.begin("192.0.2.1")
