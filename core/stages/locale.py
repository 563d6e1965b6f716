"""The person's language, found in their first message and kept, and whether they want to see their mood."""

from dataclasses import replace

from core.i18n import language_of
from core.messages import Locale, Reply, Turn
from core.pipeline import Handler, Stage
from core.store import Store, people


def locale(store: Store, configured: Locale | None) -> Stage:
    """The stage that sets a turn's locale; `configured` is what newcomers get, None to go by their words."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        shown = configured or _written(turn.message.text)
        person = await store.run(people.with_locale, turn.message.sender, shown)
        reply = await call_next(replace(turn, locale=person.locale or "en"))
        return replace(reply, show_mood=person.show_mood)

    return stage


def _written(text: str) -> Locale | None:
    """The language of a text; a command is written the same in all of them."""
    return None if text.startswith("/") else language_of(text)
