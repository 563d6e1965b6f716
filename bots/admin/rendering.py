"""Renders the templates of the operator's page."""

from functools import cache, partial

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from bots.dates import minute
from core.i18n import LOCALES, say
from core.messages import Locale

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with "no-referrer", browsers would not say which site a form comes from
    "Cache-Control": "no-store",
}
PAGES = ("", "queue", "gaps", "search", "conversations", "people", "dead-letters", "health", "settings")
"""The paths of the pages, as the menu lists them; the first is the overview."""
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


def render(template: str, locale: Locale, **values: object) -> str:
    """The text of a template in `templates/`. In it `say("people")` is the sentence "admin.people", and
    `word("charts.up")` one of any section.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            locale=locale,
            tag="zh-Hans" if locale == "zh" else "en",
            others=[(other, say(other, "web.language")) for other in LOCALES if other != locale],
            pages=[(path, say(locale, f"admin.{_name(path)}")) for path in PAGES],
            say=partial(_say, locale),
            word=partial(say, locale),
            age=partial(age, locale),
            minute=minute,
            **values,
        )
    )


def age(locale: Locale, seconds: float) -> str:
    """A duration in the largest unit of which it has two or more."""
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= 2 * length:
            return say(locale, f"admin.{unit}", count=int(seconds // length))
    return say(locale, "admin.seconds", count=int(max(seconds, 0)))


def _name(path: str) -> str:
    return path.replace("-", "_") or "overview"


def _say(locale: Locale, key: str, **values: object) -> str:
    return say(locale, f"admin.{key}", **values)


@cache
def _environment() -> Environment:
    loader = PackageLoader("bots.admin")
    return Environment(loader=loader, autoescape=select_autoescape(), trim_blocks=True, undefined=StrictUndefined)
