"""Loads the history of the conversation: the person's own, or everybody's if so configured."""

from dataclasses import replace

from core.messages import Reply, Turn
from core.pipeline import Handler, Stage
from core.store import Store
from core.store import history as exchanges


def history(store: Store, *, shared: bool) -> Stage:
    """The stage that loads the turn's history; a `shared` one has the exchanges of all people in the conversation.

    A question that is asked again, or answered anew, has the history before it. The new exchange is added by the
    worker, in the transaction that commits the reply.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        message = turn.message
        person = None if shared else message.sender
        past = await store.run(exchanges.load, message.conversation, person, before=message.again or turn.id)
        return await call_next(replace(turn, history=past))

    return stage
