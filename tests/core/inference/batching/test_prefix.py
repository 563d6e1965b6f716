"""Allocation and reuse of KV cache blocks, without tensors."""

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from core.inference.batching.prefix import BLOCK_SIZE, BlockTable, PrefixCache

SYSTEM = list(range(20))
numbers = count(1000)


def words(tokens: int) -> list[int]:
    """Tokens that no other call returns."""
    return [next(numbers) for _ in range(tokens)]


def allocated(cache: PrefixCache, ids: list[int], owner: str = "ann", shared: int = 0, more: int = 10) -> BlockTable:
    table = cache.allocate(ids, len(ids) + more, owner, shared)
    assert table
    return table


def finished(cache: PrefixCache, ids: list[int], owner: str = "ann", shared: int = 0) -> None:
    """Allocate and free a sequence, so that its blocks stay for reuse."""
    cache.free(allocated(cache, ids, owner, shared), ids, len(ids))


def test_a_conversation_reuses_its_earlier_turns() -> None:
    """The next turn of the same owner reuses all full blocks of the last turn and copies the partly filled one."""
    cache, text = PrefixCache(100), words(40)
    finished(cache, text + words(8))
    table = allocated(cache, text + words(30))
    assert table.computed == 40
    assert table.copy_source
    assert table.copy_source.index not in table.block_ids


def test_a_conversation_goes_on_where_it_ended() -> None:
    """The last block of a turn is copied up to its computed tokens; the last token of a reply never is computed."""
    cache, text = PrefixCache(100), words(40)
    cache.free(allocated(cache, text), text, 39)
    table = allocated(cache, text + words(30))
    assert table.computed == 39
    assert allocated(cache, text + words(30), "bob").computed == 0


def test_owners_do_not_share_their_text() -> None:
    """Another owner reuses only the shared prefix of the same tokens, in full and in partly filled blocks."""
    cache, text = PrefixCache(100), words(40)
    finished(cache, SYSTEM + text, shared=len(SYSTEM))
    assert allocated(cache, SYSTEM + text, "bob", len(SYSTEM)).computed == len(SYSTEM)
    assert allocated(cache, text, "bob").computed == 0


def test_running_sequences_share_at_once() -> None:
    """A running sequence's published blocks are reused by another one at once."""
    cache, text = PrefixCache(100), words(32)
    first = allocated(cache, text)
    assert allocated(cache, text).computed == 0
    cache.publish(first, text, len(text))
    second = allocated(cache, [*text, 1])
    assert second.computed == 32
    assert second.block_ids[:2] == first.block_ids[:2]
    assert set(second.block_ids[2:]).isdisjoint(first.block_ids)


def test_the_last_token_is_always_computed() -> None:
    """A prompt that is cached completely still computes its last token, whose logits are sampled."""
    cache, text = PrefixCache(100), words(2 * BLOCK_SIZE)
    finished(cache, text)
    assert allocated(cache, text).computed == len(text) - 1


def test_allocation_fails_if_too_few_blocks_are_free() -> None:
    """A failed allocation takes no blocks and keeps no reference to the blocks it found."""
    cache, text = PrefixCache(4), words(20)
    first = allocated(cache, text, more=20)
    assert cache.allocate(words(20), 30, "bob", 0) is None
    cache.free(first)
    assert allocated(cache, words(20), "bob", more=44)


def test_the_least_recently_used_block_is_evicted_first() -> None:
    """Eviction starts with the end of the oldest conversation; the newer one stays."""
    cache, old, new = PrefixCache(4), words(32), words(32)
    finished(cache, old)
    finished(cache, new)
    allocated(cache, words(10), "bob", more=6)
    assert allocated(cache, [*new, 1], more=1).computed == 32
    assert cache.allocate([*old, 1], 33, "ann", 0) is None


def test_without_reuse_nothing_is_cached() -> None:
    """Without reuse, blocks are only counted: an equal prompt finds nothing cached."""
    cache, text = PrefixCache(100, reuse=False), words(40)
    finished(cache, text)
    assert allocated(cache, text).computed == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2), min_size=1, max_size=50), st.booleans())))
def test_no_block_is_lost_or_written_by_two_sequences(steps: list[tuple[int, list[int], bool]]) -> None:
    """In any order of allocations and frees, a block being written has one owner, and all are free at the end."""
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
            first, text = running.pop(0)
            cache.free(first, text, len(text))
    for table, ids in running:
        cache.free(table, ids, len(ids))
    assert cache.available == 12


def test_a_forgotten_owner_leaves_nothing_to_reuse() -> None:
    """The blocks of an owner are free and are found by no sequence; the shared beginning and other owners' stay."""
    cache, text = PrefixCache(100), words(40)
    for owner in ("ann", "bob"):
        finished(cache, SYSTEM + text, owner, len(SYSTEM))
    free = cache.available - cache.used
    assert cache.forget({"ann"}) == 3
    assert cache.available - cache.used > free
    assert cache.used == 1 + 3
    assert allocated(cache, SYSTEM + text + words(1), "ann", len(SYSTEM)).computed == len(SYSTEM)
    assert allocated(cache, SYSTEM + text + words(1), "bob", len(SYSTEM)).computed == len(SYSTEM + text)


def test_blocks_in_use_are_freed_later() -> None:
    """A running sequence keeps its blocks although its owner was forgotten; they are free when it ends."""
    cache, text = PrefixCache(10), words(40)
    finished(cache, text)
    table = allocated(cache, text + words(1))
    cache.forget({"ann"})
    assert not set(allocated(cache, text, "ann").block_ids) & set(table.block_ids)
    cache.free(table)
    assert cache.available == 10 - 4


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.booleans()), max_size=30))
def test_forgetting_loses_no_block(steps: list[tuple[str, int, bool]]) -> None:
    """However owners come, run, end and are forgotten, each block is in use or available."""
    cache, running = PrefixCache(12), list[tuple[BlockTable, list[int]]]()
    for owner, length, forgets in steps:
        ids = list(range(length + 1))
        if table := cache.allocate(ids, len(ids) + 4, owner, 8):
            running.append((table, ids))
        if forgets:
            cache.forget({owner})
            running = [(table, ids if table.owner != owner else []) for table, ids in running]
        if len(running) > 1:
            table, ids = running.pop(0)
            cache.free(table, ids, len(ids))
    for table, ids in running:
        cache.free(table, ids, len(ids))
    assert cache.available == 12
    cache.forget(set("abc"))
    for owner in "abc":
        table = allocated(cache, list(range(41)), owner, 8)
        assert table.computed <= 8
        cache.free(table)
