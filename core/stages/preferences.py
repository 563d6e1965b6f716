"""Loads what the person has set with /lang and /mood."""

from dataclasses import replace

from core.messages import Reply, Turn
from core.pipeline import Handler, Stage
from core.store import Store, people


def preferences(store: Store) -> Stage:
    """The stage that applies the person's preferences to the turn and to its reply."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        person = await store.run(people.find_or_add, turn.message.sender)
        reply = await call_next(replace(turn, chosen_language=person.languages.chosen))
        return replace(reply, show_mood=person.show_mood)

    return stage
