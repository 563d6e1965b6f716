"""Prefix cache: KV cache blocks that sequences share, in a trie of token blocks.

A sequence holds whole blocks of `BLOCK_SIZE` tokens. A full block is published in the trie, as the child of its
predecessor; a later sequence with the same prefix takes that block instead of computing it again. The last block of a
sequence, partly filled, is published when the sequence ends; a later sequence copies it.

A block with tokens beyond the first `shared` of a prompt contains a user's own text: only the same owner finds it.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, TypeAlias

BLOCK_SIZE: Final = 16
"""Tokens per KV cache block; `BLOCK` in the decoder's C source."""
BlockKey: TypeAlias = tuple[str, tuple[int, ...]]
"""Owner and tokens of a block. The owner is empty if every user may reuse the block."""


@dataclass(slots=True, eq=False)
class Block:
    """One block of the KV cache. It is in the trie if it has a `key`."""

    index: int
    key: BlockKey | None = None
    parent: "Block | None" = None
    children: "dict[BlockKey, Block]" = field(default_factory=dict)
    ref_count: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class BlockTable:
    """The blocks of one sequence, in order; the first `published` are in the trie.

    The first `computed` tokens were found in the cache. If these include a part of a block, that part must be copied
    from `copy_source` to the block at index `published`.
    """

    owner: str
    shared: int
    blocks: list[Block]
    computed: int
    published: int
    copy_source: Block | None

    @property
    def block_ids(self) -> list[int]:
        return [block.index for block in self.blocks]


class PrefixCache:
    """Allocates `blocks` blocks. Published blocks that no sequence holds stay for reuse, and are evicted in LRU order.

    Without `reuse`, blocks are only counted and every sequence computes its whole prompt.
    """

    def __init__(self, blocks: int, *, reuse: bool = True) -> None:
        self._root = Block(index=-1)
        self._free = [Block(index=index) for index in reversed(range(blocks))]
        self._evictable: OrderedDict[int, Block] = OrderedDict()
        self._reuse = reuse
        self.blocks = blocks

    @property
    def available(self) -> int:
        """Number of blocks that a new sequence could get."""
        return len(self._free) + len(self._evictable)

    @property
    def used(self) -> int:
        """Number of blocks in use or kept for reuse."""
        return self.blocks - len(self._free)

    def allocate(self, ids: Sequence[int], capacity: int, owner: str, shared: int) -> BlockTable | None:
        """Blocks for `capacity` tokens of a sequence that begins with `ids`; None if too few are available.

        The first `shared` of `ids` contain no user's text. At least the last of `ids` remains to be computed.
        """
        found = list(self._match(ids, owner, shared)) if self._reuse else []
        copy_source, copied = self._match_partly(found, ids, owner, shared) if self._reuse else (None, 0)
        kept = [*found, copy_source] if copy_source else found
        for block in kept:
            self._acquire(block)
        needed = -(-capacity // BLOCK_SIZE) - len(found)
        if needed > self.available:
            self._release(kept)
            return None
        if copy_source:
            self._release([copy_source])
        own = [self._take() for _ in range(needed)]
        return BlockTable(
            owner=owner,
            shared=shared,
            blocks=found + own,
            computed=len(found) * BLOCK_SIZE + copied,
            published=len(found),
            copy_source=copy_source,
        )

    def publish(self, table: BlockTable, ids: Sequence[int], computed: int) -> None:
        """Publish the blocks filled by the first `computed` of `ids`, up to the first one that the trie already has."""
        while (table.published + 1) * BLOCK_SIZE <= min(computed, len(ids)):
            if not self._insert(table, _key(ids, table.published, table.owner, table.shared)):
                return
            table.published += 1

    def free(self, table: BlockTable, ids: Sequence[int] = (), computed: int = 0) -> None:
        """Release a sequence's blocks. Those filled by the first `computed` of `ids` stay for reuse, the last, partly
        filled one included.
        """
        self.publish(table, ids, computed)
        if table.published * BLOCK_SIZE < computed < (table.published + 1) * BLOCK_SIZE:
            self._insert(table, _key(ids[:computed], table.published, table.owner, table.shared))
        self._release(table.blocks)

    def forget(self, owners: Collection[str]) -> int:
        """Take the blocks of these owners out of the trie, so that no sequence finds them; their number.

        Those that no sequence holds are free at once, and are the next to be overwritten. The caller sees to it that
        the owners' sequences publish no more.
        """
        forgotten = list(self._owned(self._root, owners))
        for block in forgotten:
            assert block.key
            assert block.parent
            block.parent.children.pop(block.key)
            block.key = block.parent = None
            if self._evictable.pop(block.index, None):
                self._free.append(block)
        return len(forgotten)

    def _owned(self, block: Block, owners: Collection[str]) -> Iterator[Block]:
        """The blocks of these owners below a block, each after its successors."""
        pending, found = [block], []
        while pending:
            children = pending.pop().children.values()
            pending += children
            found += [child for child in children if child.key and child.key[0] in owners]
        return reversed(found)

    def _insert(self, table: BlockTable, key: BlockKey) -> bool:
        """Insert the table's first unpublished block into the trie; False if the trie has an equal one."""
        block = table.blocks[table.published]
        parent = table.blocks[table.published - 1] if table.published else self._root
        if not self._reuse or key in parent.children:
            return False
        block.key, block.parent = key, parent
        parent.children[key] = block
        return True

    def _match(self, ids: Sequence[int], owner: str, shared: int) -> Iterator[Block]:
        """Published blocks that hold the first full blocks of `ids`; the last of `ids` is never among their tokens."""
        block = self._root
        for number in range((len(ids) - 1) // BLOCK_SIZE):
            key = _key(ids, number, owner, shared)
            if key not in block.children:
                return
            block = block.children[key]
            yield block

    def _match_partly(
        self, found: list[Block], ids: Sequence[int], owner: str, shared: int
    ) -> tuple[Block | None, int]:
        """The block after the `found` ones with the longest reusable prefix, and the length of that prefix in tokens.

        Of another owner's block only the first `shared` tokens of the prompt may be reused.
        """
        start = len(found) * BLOCK_SIZE
        wanted, free = ids[start : min(start + BLOCK_SIZE, len(ids) - 1)], shared - start
        best, longest = None, 0
        for (block_owner, tokens), block in (found[-1] if found else self._root).children.items():
            common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(wanted, tokens, strict=False)))
            usable = common if block_owner in ("", owner) else min(common, free)
            if usable > longest:
                best, longest = block, usable
        return best, longest

    def _acquire(self, block: Block) -> None:
        block.ref_count += 1
        self._evictable.pop(block.index, None)

    def _release(self, blocks: Sequence[Block]) -> None:
        """Drop a reference to each block, the last block first: a block is evicted after its successors."""
        for block in reversed(blocks):
            block.ref_count -= 1
            if block.ref_count:
                continue
            if block.key:
                self._evictable[block.index] = block
            else:
                self._free.append(block)

    def _take(self) -> Block:
        """An unused block; evicts the least recently used one if none is free."""
        if not self._free:
            self._evict(next(iter(self._evictable.values())))
        block = self._free.pop()
        block.ref_count = 1
        return block

    def _evict(self, block: Block) -> None:
        assert block.key
        assert block.parent
        assert not block.children
        del self._evictable[block.index], block.parent.children[block.key]
        block.key = block.parent = None
        self._free.append(block)


def _key(ids: Sequence[int], number: int, owner: str, shared: int) -> BlockKey:
    """Key of the block with this number in a sequence of `ids`."""
    tokens = tuple(ids[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE])
    return ("" if number * BLOCK_SIZE + len(tokens) <= shared else owner), tokens
