"""Text in Slack's notation, and out of it."""

import html
import re
from collections.abc import Iterator

TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
PING = re.compile(r"<(?=[@#!])")
WORD_JOINER = "\u2060"
LINK = re.compile(r"://|\w\.[^\W\d_]{2}")
"""What Slack may take for a link, scheme or not."""
INSIDE_LINK = re.compile(r"(?<=:)(?=//)|(?<=\w\.)(?=[^\W\d_])")
BREAKS = ("\n\n", "\n", "。", " ")
"""Where a long text is best cut, the best first."""


def plain(text: str, bot_user: str) -> str:
    """What a person meant to write: without the bot's own mention, links and mentions as they look, no entities."""
    mention = rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>"
    text = re.sub(rf"^\s*{mention}[\s,:，：]*", "", text)
    text = re.sub(rf"[ \t]*{mention}[ \t]*", " ", text)
    return html.unescape(TOKEN.sub(_as_seen, text)).strip()


def _as_seen(token: re.Match[str]) -> str:
    sigil, target, label = token[1], token[2], token[3] or ""
    match sigil:
        case "@" | "#":
            return sigil + (label or target)
        case "!":
            return label or f"@{target}"
        case _:
            return f"{label} ({target})" if label and label not in target else label or target


def escaped(text: str) -> str:
    """Text that means itself and nothing else: no mention, no link, nobody pinged."""
    return html.escape(text, quote=False)


def markdown(text: str) -> str:
    """Markdown in which nothing pings anybody.

    Entities are text in code, so that code keeps its signs and what would be a mention is taken apart invisibly.
    A lone ">" is harmless and makes quotes.
    """
    parts = CODE.split(text)
    return "".join(
        PING.sub(f"<{WORD_JOINER}", part) if number % 2 else part.replace("&", "&amp;").replace("<", "&lt;")
        for number, part in enumerate(parts)
    )


def has_link(text: str) -> bool:
    return LINK.search(text) is not None


def without_links(text: str) -> str:
    """Text in which all links are taken apart invisibly: where previews cannot be turned off nothing may have one."""
    return INSIDE_LINK.sub(WORD_JOINER, text)


def split(text: str, limit: int) -> tuple[str, ...]:
    """Parts of a text, each within `limit` characters once it is escaped; code blocks are closed and opened again."""
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
    """How many characters go into one part: as many as fit, up to the best break in the second half of them."""
    most = min(len(text), limit)
    while (over := len(escaped(text[:most])) - limit) > 0:
        most -= (over + 4) // 5  # an escaped character is five long at most
    for mark in BREAKS:
        if (at := text.rfind(mark, most // 2, most)) >= 0:
            return at + len(mark)
    return most


def _open_fence(text: str) -> str:
    """The line that opens a code block which `text` does not close."""
    fences = re.findall(r"^```[^\n`]*", text, re.MULTILINE)
    return fences[-1][:40] if len(fences) % 2 else ""
