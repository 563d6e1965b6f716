"""Loads what the person has set with /lang and /mood."""

from dataclasses import replace

from core.faces import ShowMood, is_shown
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage
from core.store import Store, people


def preferences(store: Store, show_mood: ShowMood) -> Stage:
    """The stage that applies the person's preferences to the turn and to its reply.

    `show_mood` are the moods that are shown to people who have not hidden theirs.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        person = await store.run(people.find_or_add, turn.message.sender)
        reply = await call_next(replace(turn, chosen_language=person.languages.chosen))
        return replace(reply, show_mood=person.show_mood and is_shown(reply.mood, show_mood))

    return stage
