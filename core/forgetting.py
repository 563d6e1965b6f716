"""Has the model server forget the words that were deleted from the store: the prompts in its prefix cache."""

from collections.abc import Collection

from core.classifier import OWNER
from core.engine.protocol import Engine
from core.store import Store, stale_scopes

BATCH = 500
"""Scopes told at once."""


async def forget_in_model(store: Store, engine: Engine, fronts: Collection[str]) -> bool:
    """Tell the model server of all deletions that it has not been told of yet. False if it cannot forget.

    The classifications of all people have one scope, which goes as well. Raises EngineErrors and StoreErrors; the rest
    is told at the next call.
    """
    can_forget = True
    while stale := await store.read(stale_scopes.pending, tuple(fronts), BATCH):
        can_forget = await engine.forget([*sorted(set(stale.values())), OWNER])
        await store.run(stale_scopes.remove, tuple(stale))
    return can_forget
