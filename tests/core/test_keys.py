"""A key opens what its scopes say, until it is revoked."""

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.errors import KeyRefused
from core.keys import PREFIX, USES_APART, Key, Scope, add_key, find_key, revoke_key
from core.store import Store, keys
from core.tokens import ENTROPY_BYTES

ENTROPY = bytes(range(ENTROPY_BYTES))


async def test_a_key_is_known_by_what_it_is(store: Store, clock: ManualClock) -> None:
    """The key as it was shown finds its name and scopes; a part of it, another one or nothing finds nothing."""
    shown = await store.run(add_key, "shop", [Scope.METRICS], ENTROPY, clock.now())
    found = await store.run(find_key, shown, clock.now())
    assert found == Key(name="shop", scopes=frozenset({Scope.METRICS}))
    for wrong in (shown[:-1], shown.removeprefix(PREFIX), shown.upper(), "", "\ud800", "shop"):
        assert await store.run(find_key, wrong, clock.now()) is None


async def test_no_key_is_stored(store: Store, clock: ManualClock) -> None:
    """No row of the table holds a key, or enough of it to guess the rest."""
    shown = await store.run(add_key, "shop", [Scope.CHAT], ENTROPY, clock.now())
    rows = await store.read(lambda connection: str(connection.execute(sa.text("SELECT * FROM keys")).all()))
    assert shown.removeprefix(PREFIX)[:8] not in rows
    assert repr(ENTROPY[:8])[2:-1] not in rows


async def test_a_revoked_key_opens_nothing(store: Store, clock: ManualClock) -> None:
    """It is unknown from the moment at which it is revoked; the key that takes its name is another one."""
    shown = await store.run(add_key, "shop", [Scope.CHAT], ENTROPY, clock.now())
    await store.run(revoke_key, "shop", clock.now())
    new = await store.run(add_key, "shop", [Scope.CHAT], bytes(ENTROPY_BYTES), clock.now())
    assert await store.run(find_key, shown, clock.now()) is None
    assert await store.run(find_key, new, clock.now()) is not None


async def test_a_use_is_noted_once_an_hour(store: Store, clock: ManualClock) -> None:
    """A key that is used all the time is written to no more often; one whose note lies in the future is corrected."""
    shown = await store.run(add_key, "shop", [Scope.CHAT], ENTROPY, clock.now())
    begun, noted = clock.now(), []
    for passed in (0, USES_APART - 1, USES_APART, 2 * USES_APART - 1, -USES_APART):
        await store.run(find_key, shown, begun + passed)
        noted += [(key.used_at or 0) - begun for key in await store.read(keys.listed)]
    assert noted == [0, 0, USES_APART, USES_APART, -USES_APART]


async def test_scopes_of_a_later_version_open_nothing(store: Store, clock: ManualClock) -> None:
    """A scope that this version does not know is left out."""
    shown = await store.run(add_key, "shop", [Scope.CHAT], ENTROPY, clock.now())
    await store.run(lambda connection: connection.execute(sa.text("""UPDATE keys SET scopes = '["chat", "all"]'""")))
    found = await store.run(find_key, shown, clock.now())
    assert found is not None
    assert found.scopes == {Scope.CHAT}


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 65, "käse", "a\n"])
async def test_names_are_plain(store: Store, clock: ManualClock, name: str) -> None:
    """A name can stand in logs, labels and keys of conversations as it is."""
    with pytest.raises(KeyRefused):
        await store.run(add_key, name, [Scope.CHAT], ENTROPY, clock.now())


async def test_two_keys_in_use_have_two_names(store: Store, clock: ManualClock) -> None:
    """A name in use is refused, and so is revoking one that is not."""
    await store.run(add_key, "shop", [Scope.CHAT], ENTROPY, clock.now())
    with pytest.raises(KeyRefused):
        await store.run(add_key, "shop", [Scope.CHAT], bytes(ENTROPY_BYTES), clock.now())
    with pytest.raises(KeyRefused):
        await store.run(revoke_key, "other", clock.now())
