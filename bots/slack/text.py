"""Conversions from and to Slack's markup."""

import html
import re
from collections.abc import Iterator

from bots.slack.emoji import NAME, with_emoji

TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
PING = re.compile(r"<(?=[@#!])")
SCHEME = re.compile(r"^(?:\w+://|mailto:|tel:)")
WORD_JOINER = "\u2060"
LINK = re.compile(r"://|\w\.[^\W\d_]{2}")
"""Text that Slack may turn into a link, with a scheme or without."""
INSIDE_LINK = re.compile(r"(?<=:)(?=//)|(?<=\w\.)(?=[^\W\d_])")
BREAKS = ("\n\n", "\n", "。", " ")
"""Places to cut a long text, the best first."""


def plain(text: str, bot_user: str) -> str:
    """Slack's markup as plain text: without mentions of the bot; links, mentions and emoji as they are displayed."""
    mention = rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>"
    text = re.sub(rf"^\s*{mention}(?:[\s,，：]|:(?!(?:{NAME}):))*", "", text)  # the colon of ":tada:" stays
    text = re.sub(rf"[ \t]*{mention}[ \t]*", " ", text)
    return html.unescape(TOKEN.sub(_as_seen, with_emoji(text))).strip()


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


def markdown(text: str) -> str:
    """Markdown without mentions, which would notify people.

    Slack does not decode entities in code, so mentions in code are broken by an invisible character instead of being
    escaped. ">" stays, since it begins a quote and cannot form a mention alone.
    """
    parts = CODE.split(text)
    return "".join(
        PING.sub(f"<{WORD_JOINER}", part) if number % 2 else part.replace("&", "&amp;").replace("<", "&lt;")
        for number, part in enumerate(parts)
    )


def has_link(text: str) -> bool:
    return LINK.search(text) is not None


def without_links(text: str) -> str:
    """Text whose links are broken by an invisible character, for messages whose link previews cannot be turned off."""
    return INSIDE_LINK.sub(WORD_JOINER, text)


def split(text: str, limit: int) -> tuple[str, ...]:
    """Parts of at most `limit` characters each once escaped. Code blocks that are cut are closed and reopened."""
    return tuple(filter(str.strip, _parts(text, limit))) or (text,)


def _parts(text: str, limit: int) -> Iterator[str]:
    while len(escaped(text)) > limit:
        cut = _cut(text, limit - 8)
        head, text = text[:cut], text[cut:].lstrip("\n")
        if fence := _open_fence(head):
            head, text = f"{head.rstrip()}\n```", f"{fence}\n{text}"
        yield head.rstrip()
    yield text


def _cut(text: str, limit: int) -> int:
    """The number of characters in the next part: as many as fit, up to the best break in their second half."""
    most = min(len(text), limit)
    while (over := len(escaped(text[:most])) - limit) > 0:
        most -= (over + 4) // 5  # an escaped character has at most five characters
    for mark in BREAKS:
        if (at := text.rfind(mark, most // 2, most)) >= 0:
            return at + len(mark)
    return most


def _open_fence(text: str) -> str:
    """The opening line of a code block that `text` leaves open; empty if there is none."""
    fences = re.findall(r"^```[^\n`]*", text, re.MULTILINE)
    return fences[-1][:40] if len(fences) % 2 else ""
