"""Slack's own markup: what people write, as plain text, and plain text without any."""

import html
import re

from bots.names import Name, in_company, you
from bots.slack.emoji import NAME, with_emoji

TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
NAME_TOKEN = re.compile(r"<(?:@|!(?=subteam\^|here|channel|everyone))([^<>|]*)(?:\|[^<>]*)?>")
"""A mention of a person or an app, or of many at once."""
SCHEME = re.compile(r"^(?:\w+://|mailto:|tel:)")


def plain(text: str, bot_user: str) -> str:
    """Slack's markup as plain text, with links, mentions and emoji as they are displayed. A mention of the bot is left
    out, or is "@you" in a row with others.
    """
    text = _with_you(text, bot_user)
    mention = rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>"
    text = re.sub(rf"^\s*{mention}(?:[\s,，：]|:(?!(?:{NAME}):))*", "", text)  # the colon of ":tada:" stays
    text = re.sub(rf"(?:(?<![ \t])[ \t]++)?{mention}[ \t]*+", " ", text)
    return html.unescape(TOKEN.sub(_as_seen, with_emoji(text))).strip()


def _with_you(text: str, bot_user: str) -> str:
    """The markup with "@you" for each mention of the bot that stands in a row with others."""
    found = NAME_TOKEN.finditer(text)
    names = [Name(start=token.start(), end=token.end(), is_bot=token[1] == bot_user) for token in found]
    company = in_company(text, names)
    called = you(NAME_TOKEN.sub(" ", text))
    return NAME_TOKEN.sub(lambda token: called if token.start() in company else token[0], text)


def _as_seen(token: re.Match[str]) -> str:
    sigil, target, label = token[1], token[2], token[3] or ""
    match sigil:
        case "@" | "#":
            return sigil + (label or target)
        case "!":
            return label or f"@{target}"
        case _:
            return f"{label} ({target})" if label and not _is_address(label, target) else label or target


def _is_address(label: str, target: str) -> bool:
    """Whether a link's label is its address, perhaps without the scheme."""
    return SCHEME.sub("", label).rstrip("/") == SCHEME.sub("", target).rstrip("/")


def escaped(text: str) -> str:
    """Text without markup: special characters are escaped, so that it holds no mention and no link."""
    return html.escape(text, quote=False)
