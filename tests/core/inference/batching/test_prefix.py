"""Which blocks a sequence gets, without any tensor."""

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from core.inference.batching.prefix import BLOCK_SIZE, BlockTable, PrefixCache

SYSTEM = list(range(20))
numbers = count(1000)


def words(tokens: int) -> list[int]:
    """Tokens that nobody else has."""
    return [next(numbers) for _ in range(tokens)]


def opened(cache: PrefixCache, ids: list[int], owner: str = "ann", shared: int = 0, more: int = 10) -> BlockTable:
    table = cache.allocate(ids, len(ids) + more, owner, shared)
    assert table
    return table


def finished(cache: PrefixCache, ids: list[int], owner: str = "ann", shared: int = 0) -> None:
    """A sequence that has come and gone."""
    cache.free(opened(cache, ids, owner, shared), ids, len(ids))


def test_a_conversation_finds_what_it_said_before() -> None:
    """The next turn of the same owner gets all full blocks of the turn before, and the begun one as a copy."""
    cache, said = PrefixCache(100), words(40)
    finished(cache, said + words(8))
    table = opened(cache, said + words(30))
    assert table.computed == 40
    assert table.copy_source
    assert table.copy_source.index not in table.block_ids


def test_a_conversation_goes_on_where_it_ended() -> None:
    """The block that a turn ended in is copied too, as far as it was computed: the last token of a reply never is."""
    cache, said = PrefixCache(100), words(40)
    cache.free(opened(cache, said), said, 39)
    table = opened(cache, said + words(30))
    assert table.computed == 39
    assert opened(cache, said + words(30), "bob").computed == 0


def test_nobody_finds_anothers_words() -> None:
    """Another owner gets nothing of the same tokens but the shared beginning, full blocks and the begun one."""
    cache, said = PrefixCache(100), words(40)
    finished(cache, SYSTEM + said, shared=len(SYSTEM))
    assert opened(cache, SYSTEM + said, "bob", len(SYSTEM)).computed == len(SYSTEM)
    assert opened(cache, said, "bob").computed == 0


def test_running_sequences_share_at_once() -> None:
    """What one row has computed another one takes while the first still runs."""
    cache, said = PrefixCache(100), words(32)
    first = opened(cache, said)
    assert opened(cache, said).computed == 0
    cache.publish(first, said, len(said))
    second = opened(cache, [*said, 1])
    assert second.computed == 32
    assert second.block_ids[:2] == first.block_ids[:2]
    assert set(second.block_ids[2:]).isdisjoint(first.block_ids)


def test_the_last_token_is_always_computed() -> None:
    """A prompt that is known to its end leaves a token to run: without one there would be nothing to sample from."""
    cache, said = PrefixCache(100), words(2 * BLOCK_SIZE)
    finished(cache, said)
    assert opened(cache, said).computed == len(said) - 1


def test_who_does_not_fit_waits() -> None:
    """With too few free blocks nothing is given, and nothing of what was found is lost or kept in use."""
    cache, said = PrefixCache(4), words(20)
    first = opened(cache, said, more=20)
    assert cache.allocate(words(20), 30, "bob", 0) is None
    cache.free(first)
    assert opened(cache, words(20), "bob", more=44)


def test_the_least_recent_goes_first() -> None:
    """When room is needed, the end of the oldest conversation goes, and the newer one stays."""
    cache, old, new = PrefixCache(4), words(32), words(32)
    finished(cache, old)
    finished(cache, new)
    opened(cache, words(10), "bob", more=6)
    assert opened(cache, [*new, 1], more=1).computed == 32
    assert cache.allocate([*old, 1], 33, "ann", 0) is None


def test_without_reuse_nothing_is_found() -> None:
    """A network that keeps keys and values itself only has its blocks counted."""
    cache, said = PrefixCache(100, reuse=False), words(40)
    finished(cache, said)
    assert opened(cache, said).computed == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2), min_size=1, max_size=50), st.booleans())))
def test_no_block_is_ever_lost_or_held_twice(steps: list[tuple[int, list[int], bool]]) -> None:
    """Whatever comes and goes, a block that somebody writes into is nobody else's, and all come back at the end."""
    cache = PrefixCache(12)
    running: list[tuple[BlockTable, list[int]]] = []
    for owner, ids, ends in steps:
        table = cache.allocate(ids, len(ids) + 5, str(owner), 0)
        if table:
            assert len(set(table.block_ids)) == len(table.block_ids) == -(-(len(ids) + 5) // BLOCK_SIZE)
            cache.publish(table, ids, len(ids))
            running.append((table, ids))
        own = [index for other, _ in running for index in other.block_ids[other.published :]]
        assert len(set(own)) == len(own)
        assert all(other.block_ids.count(index) <= 1 for other, _ in running for index in own)
        if ends and running:
            first, said = running.pop(0)
            cache.free(first, said, len(said))
    for table, ids in running:
        cache.free(table, ids, len(ids))
    assert cache.available == 12
