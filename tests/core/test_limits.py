"""Limits of a key: what a program asks for all its people counts together, whatever it calls them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core import presses
from core.accepting import Accepted, Outcome, Refused
from core.admission import Admission
from core.buttons import Press
from core.clock import ManualClock
from core.errors import KeyQueueFull, KeyThrottled, Throttled
from core.keys import Scope, add_key, revoke_key
from core.limits import Limits
from core.messages import Message, Reply, Source
from core.store import Store, open_store, turns
from core.store.history import Keeping
from core.store.turns import Lease
from core.tokens import ENTROPY_BYTES
from tests.core.conftest import Write
from tests.idle import Idle
from tests.options import limits_with

ROOMY = limits_with(key_per_minute=60_000, key_burst=10_000, key_max_queued=10_000, allow=frozenset({"test:*"}))
THREE = replace(ROOMY, key_per_minute=6, key_burst=3)
Ask = Callable[..., Message]


@pytest.fixture
def ask(write: Write) -> Ask:
    """`ask("ann")` is a message of a program's person, `ask("ann", program="")` one of a person who writes."""

    def message(who: str, *, program: str = "shop", key: str = "") -> Message:
        plain = write("hello", who=who, key=key)
        return replace(plain, sender=replace(plain.sender, program=program))

    return message


async def with_keys(store: Store, **rates: int | None) -> None:
    for number, (name, per_minute) in enumerate(rates.items()):
        await store.run(add_key, name, [Scope.CHAT], bytes([number]) * ENTROPY_BYTES, 0.0, per_minute)


def door(store: Store, clock: ManualClock, limits: Limits) -> Admission:
    return Admission(store, clock, limits, Idle())


def wait_of(outcome: Outcome) -> float:
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, KeyThrottled)
    return outcome.error.retry_after


async def test_invented_people_count_together(store: Store, clock: ManualClock, ask: Ask) -> None:
    """The fourth message in a burst of three is refused, though each is of another person, and accepted later."""
    await with_keys(store, shop=None)
    admission = door(store, clock, THREE)
    for number in range(3):
        assert isinstance(await admission.accept(ask(f"p{number}")), Accepted)
    wait = wait_of(await admission.accept(ask("p3")))
    assert wait == pytest.approx(10)
    clock.advance(wait)
    assert isinstance(await admission.accept(ask("p4")), Accepted)
    wait_of(await admission.accept(ask("p5")))


async def test_others_are_not_concerned(store: Store, clock: ManualClock, ask: Ask) -> None:
    """Another program, and people who write themselves, have room while a key has none."""
    await with_keys(store, shop=None, blog=None)
    admission = door(store, clock, replace(THREE, key_burst=1))
    assert isinstance(await admission.accept(ask("ann")), Accepted)
    wait_of(await admission.accept(ask("bob")))
    assert isinstance(await admission.accept(ask("cid", program="blog")), Accepted)
    assert isinstance(await admission.accept(ask("dan", program="")), Accepted)


async def test_a_key_may_have_a_rate_of_its_own(store: Store, clock: ManualClock, ask: Ask) -> None:
    """With 60 a minute the wait is a second, with the setting's 6 it is ten."""
    await with_keys(store, shop=60, blog=None)
    admission = door(store, clock, replace(THREE, key_burst=1))
    for program, wait in (("shop", 1.0), ("blog", 10.0)):
        await admission.accept(ask(f"{program} 1", program=program))
        assert wait_of(await admission.accept(ask(f"{program} 2", program=program))) == pytest.approx(wait)


async def test_a_refused_message_counts_for_neither(store: Store, clock: ManualClock, ask: Ask) -> None:
    """A person whose program is too fast loses nothing of their own rate, and the other way round."""
    await with_keys(store, shop=None)
    admission = door(store, clock, replace(THREE, key_burst=2, per_minute=1, burst=1))
    assert isinstance(await admission.accept(ask("ann")), Accepted)
    for _ in range(3):
        refused = await admission.accept(ask("ann"))
        assert isinstance(refused, Refused)
        assert type(refused.error) is Throttled
    assert isinstance(await admission.accept(ask("bob")), Accepted)
    wait = wait_of(await admission.accept(ask("cid")))
    clock.advance(wait)
    assert isinstance(await admission.accept(ask("cid")), Accepted)


async def test_two_gateways_and_a_restart_share_the_count(tmp_path: Path, clock: ManualClock, ask: Ask) -> None:
    """Two gateways of one store accept three messages together, and none is accepted after a restart."""
    url = f"sqlite:///{tmp_path}/parley.db"
    async with open_store(url) as one, open_store(url) as other:
        await with_keys(one, shop=None)
        doors = [door(store, clock, THREE) for store in (one, other)]
        outcomes = [await doors[number % 2].accept(ask(f"p{number}")) for number in range(6)]
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 3 + [Refused] * 3
    async with open_store(url) as again:
        wait_of(await door(again, clock, THREE).accept(ask("late")))


async def test_the_queue_of_a_key_is_bounded(store: Store, clock: ManualClock, ask: Ask) -> None:
    """The third open turn of all people of a key is refused until one is answered; others still have a place."""
    await with_keys(store, shop=None)
    admission = door(store, clock, replace(ROOMY, key_max_queued=2))
    for who in ("ann", "bob"):
        assert isinstance(await admission.accept(ask(who)), Accepted)
    refused = await admission.accept(ask("cid"))
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, KeyQueueFull)
    assert isinstance(await admission.accept(ask("dan", program="")), Accepted)
    await answer_one(store, clock)
    assert isinstance(await admission.accept(ask("cid")), Accepted)


async def test_a_program_may_send_a_refused_message_again(store: Store, clock: ManualClock, ask: Ask) -> None:
    """What was refused for now is no duplicate later, and it leaves no notice, which no program reads."""
    await with_keys(store, shop=None)
    admission = door(store, clock, replace(THREE, key_burst=1))
    await admission.accept(ask("ann"))
    late = ask("bob", key="test:late")
    refused = await admission.accept(late)
    assert isinstance(refused, Refused)
    assert refused.turn_id is None
    clock.advance(wait_of(refused))
    assert isinstance(await admission.accept(late), Accepted)


async def test_buttons_count_for_the_key(store: Store, clock: ManualClock, ask: Ask) -> None:
    """A button that asks again counts like a message; one that was refused may be pressed again."""
    await with_keys(store, shop=None)
    admission = door(store, clock, replace(THREE, key_burst=1))
    asked = ask("ann")
    await admission.accept(asked)
    await answer_one(store, clock)
    press = Press(event_keys=("p",), person=asked.sender, conversation=asked.conversation, turn_id=1)
    receipt = await admission.press(presses.again, press)
    assert (receipt.error, receipt.is_work) == ("key_throttled", False)
    assert receipt.retry_after == pytest.approx(10)
    clock.advance(10)
    assert (await admission.press(presses.again, press)).is_work


async def test_a_clock_that_was_ahead_locks_no_key_out(store: Store, clock: ManualClock, ask: Ask) -> None:
    """After the clock was set back by a year a key waits no longer than for its burst."""
    await with_keys(store, shop=None)
    admission = door(store, clock, THREE)
    await admission.accept(ask("ann"))
    clock.epoch -= 365 * 86_400
    wait = wait_of(await admission.accept(ask("bob")))
    assert wait == pytest.approx(10)
    clock.advance(wait)
    assert isinstance(await admission.accept(ask("bob")), Accepted)


async def test_a_key_that_was_just_revoked_has_no_limits(store: Store, clock: ManualClock, ask: Ask) -> None:
    """A message on its way when its key is revoked is taken; the next one does not come this far."""
    await with_keys(store, shop=None)
    await store.run(revoke_key, "shop", 0.0)
    assert isinstance(await door(store, clock, THREE).accept(ask("ann")), Accepted)


async def answer_one(store: Store, clock: ManualClock) -> None:
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    claim = await store.run(turns.claim_waiting, lease, ["test/w"])
    assert claim is not None
    reply = Reply(text="hi", source=Source.MODEL, tokens=2)
    await store.run(turns.finish, claim, "me", reply, clock.now(), Keeping(max_tokens=100, shared=False))
    await store.run(turns.mark_delivered, claim, "me")
