"""Words for the parts of a message: in its prompt, and later in the history."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from core.i18n import say
from core.language import language_of
from core.messages import Locale, Media, Message, Quote
from core.text import CUT, shortened


def in_prompt(message: Message, language: Locale) -> str:
    """The whole message for the model. Each quoted line is marked, so that none is taken for the sender's words."""
    return _worded(message.text, message.quotes, message.media, language)


def in_history(text: str, quotes: Sequence[Quote], media: Sequence[Media], locale: Locale) -> str:
    """The message in later prompts: the sender's own words, with a mark for each kind of quote.

    It depends on what is stored with the turn only, so that the history begins the same in every prompt. `locale` is
    the language of the marks if the text has none.
    """
    return _worded(text, fitted(quotes, 0), media, language_of(text) or locale) or CUT


def fitted(quotes: Sequence[Quote], max_characters: int) -> tuple[Quote, ...]:
    """The quotes with at most `max_characters` together, the latest first served. Whatever is left out is marked."""
    kept: list[Quote] = []
    room = max_characters
    for quote in reversed(quotes):
        text = shortened(quote.text, room)
        room = max(0, room - len(quote.text))
        if not (text == CUT and kept and kept[-1].text == CUT and kept[-1].relation == quote.relation):
            kept.append(replace(quote, text=text))
    return tuple(reversed(kept))


def named(media: Iterable[Media], language: Locale) -> str:
    """What the model is told about things that it cannot read; empty if there are none."""
    things = say(language, "parts.comma").join(say(language, f"media.{kind}") for kind in media)
    return say(language, "parts.media", things=things) if things else ""


def _worded(text: str, quotes: Sequence[Quote], media: Sequence[Media], language: Locale) -> str:
    own = text or (say(language, "parts.ask") if any(quote.text for quote in quotes) else "")
    return "\n\n".join(filter(None, (*quoted(quotes, language), named(media, language), own)))


def quoted(quotes: Sequence[Quote], language: Locale) -> Iterator[str]:
    """A paragraph for each run of quotes of one kind, each line marked."""
    for header, group in groupby(quotes, partial(_header, language)):
        lines = (line for quote in group for line in [*quote.text.splitlines(), named(quote.media, language)] if line)
        yield "\n".join([header, *(f"> {line}" for line in lines)])


def _header(language: Locale, quote: Quote) -> str:
    return say(language, f"parts.{quote.relation}", whose=say(language, f"whose.{quote.author}"))
