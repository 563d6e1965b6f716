"""Blocks of the key-value cache and who may share them: a trie of token blocks.

A sequence holds whole blocks of `BLOCK` tokens. A block that is full is put under the block before it, and the next
sequence that begins with the same tokens takes it instead of computing it; the block that a sequence ends in is put
there as well, to be copied. What follows a prompt's `shared` tokens, that is to say everything a person wrote, is only
found by the same owner.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeAlias

BLOCK = 16
Key: TypeAlias = tuple[str, tuple[int, ...]]
"""Whose the tokens of a block are, empty for everybody's, and the tokens."""


@dataclass(slots=True, eq=False)
class Block:
    """A place in the cache. It is in the trie once it has a `key`."""

    index: int
    key: Key | None = None
    parent: "Block | None" = None
    children: "dict[Key, Block]" = field(default_factory=dict)
    users: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class Lease:
    """The blocks of one sequence, in order, of which the first `published` are in the trie.

    The cache holds the first `computed` tokens already; `copied` is the block whose content the first own block needs
    for that.
    """

    owner: str
    shared: int
    blocks: list[Block]
    computed: int
    published: int
    copied: Block | None

    @property
    def indexes(self) -> list[int]:
        return [block.index for block in self.blocks]


class PrefixCache:
    """`blocks` in all. Those that nobody uses stay for the next who needs what they hold, the least recent goes first.

    Without `reuse` it only counts: every sequence computes its own.
    """

    def __init__(self, blocks: int, *, reuse: bool = True) -> None:
        self._root = Block(index=-1)
        self._free = [Block(index=index) for index in reversed(range(blocks))]
        self._idle: OrderedDict[int, Block] = OrderedDict()
        self._reuse = reuse
        self.blocks = blocks

    @property
    def available(self) -> int:
        """How many blocks a new sequence could have at most."""
        return len(self._free) + len(self._idle)

    @property
    def used(self) -> int:
        """How many blocks hold something."""
        return self.blocks - len(self._free)

    def open(self, ids: Sequence[int], room: int, owner: str, shared: int) -> Lease | None:
        """Blocks for `room` tokens that begin with `ids`, the first `shared` of which are nobody's own.

        None while too many blocks are in use. The last of `ids` always remains to be computed.
        """
        found = list(self._find(ids, owner, shared)) if self._reuse else []
        copied, more = self._find_part(found, ids, owner, shared) if self._reuse else (None, 0)
        kept = [*found, copied] if copied else found
        for block in kept:
            self._use(block)
        needed = -(-room // BLOCK) - len(found)
        if needed > self.available:
            self._release(kept)
            return None
        if copied:
            self._release([copied])
        own = [self._take() for _ in range(needed)]
        return Lease(
            owner=owner,
            shared=shared,
            blocks=found + own,
            computed=len(found) * BLOCK + more,
            published=len(found),
            copied=copied,
        )

    def publish(self, lease: Lease, ids: Sequence[int], computed: int) -> None:
        """Puts the blocks that the first `computed` of `ids` fill into the trie, as far as nobody was there before."""
        while (lease.published + 1) * BLOCK <= min(computed, len(ids)):
            if not self._put(lease, _key(ids, lease.published, lease.owner, lease.shared)):
                return
            lease.published += 1

    def close(self, lease: Lease, ids: Sequence[int] = (), computed: int = 0) -> None:
        """Gives all blocks back; those in the trie stay as long as there is room. With them the one that the first
        `computed` of `ids` end in.
        """
        self.publish(lease, ids, computed)
        if lease.published * BLOCK < computed < (lease.published + 1) * BLOCK:
            self._put(lease, _key(ids[:computed], lease.published, lease.owner, lease.shared))
        self._release(lease.blocks)

    def _put(self, lease: Lease, key: Key) -> bool:
        """Puts the first block that is not in the trie there, unless there is such a one."""
        block, parent = lease.blocks[lease.published], self._parent(lease)
        if not self._reuse or key in parent.children:
            return False
        block.key, block.parent = key, parent
        parent.children[key] = block
        return True

    def _parent(self, lease: Lease) -> Block:
        return lease.blocks[lease.published - 1] if lease.published else self._root

    def _find(self, ids: Sequence[int], owner: str, shared: int) -> Iterator[Block]:
        block = self._root
        for number in range((len(ids) - 1) // BLOCK):
            key = _key(ids, number, owner, shared)
            if key not in block.children:
                return
            block = block.children[key]
            yield block

    def _find_part(self, found: list[Block], ids: Sequence[int], owner: str, shared: int) -> tuple[Block | None, int]:
        """The block after the found ones that begins most alike, and how many of its tokens are of use."""
        start = len(found) * BLOCK
        wanted, free = ids[start : min(start + BLOCK, len(ids) - 1)], shared - start
        best, most = None, 0
        for (theirs, tokens), block in (found[-1] if found else self._root).children.items():
            alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(wanted, tokens, strict=False)))
            usable = alike if theirs in ("", owner) else min(alike, free)
            if usable > most:
                best, most = block, usable
        return best, most

    def _use(self, block: Block) -> None:
        block.users += 1
        self._idle.pop(block.index, None)

    def _release(self, blocks: Sequence[Block]) -> None:
        """The last first: so a block is never less recent than those that follow it, and goes after them."""
        for block in reversed(blocks):
            block.users -= 1
            if block.users:
                continue
            if block.key:
                self._idle[block.index] = block
            else:
                self._free.append(block)

    def _take(self) -> Block:
        if not self._free:
            self._forget(next(iter(self._idle.values())))
        block = self._free.pop()
        block.users = 1
        return block

    def _forget(self, block: Block) -> None:
        assert block.key
        assert block.parent
        assert not block.children
        del self._idle[block.index], block.parent.children[block.key]
        block.key = block.parent = None
        self._free.append(block)


def _key(ids: Sequence[int], number: int, owner: str, shared: int) -> Key:
    tokens = tuple(ids[number * BLOCK : (number + 1) * BLOCK])
    return ("" if number * BLOCK + len(tokens) <= shared else owner), tokens
