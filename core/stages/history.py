"""Lets the model see what was said before in this conversation: by this person, or by everybody if so configured."""

from dataclasses import replace

from core.messages import Reply, Turn
from core.pipeline import Handler, Stage
from core.store import Store
from core.store import history as exchanges


def history(store: Store, *, shared: bool) -> Stage:
    """The stage that loads a turn's history, or a `shared` one of all who write there.

    What is added to it is committed with the reply.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        past = await store.run(exchanges.load, turn.message.conversation, None if shared else turn.message.sender)
        return await call_next(replace(turn, history=past))

    return stage
