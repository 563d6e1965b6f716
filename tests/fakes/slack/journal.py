"""The journal of what people see: one JSON object per line, written to disk before the bot gets its answer."""

import asyncio
import html
import json
import os
import re
from pathlib import Path
from typing import Any

MENTION = re.compile(r"<!(?:channel|here|everyone)\b[^>]*>|<!subteam\^[^>]*>|<@[A-Z0-9]+[^>]*>")
LINK = re.compile(r"\w+://\S|\w\.[a-z]{2,}", re.IGNORECASE)
ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)


class Journal:
    """Entries in order. Each one wakes the waiting readers."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self.entries: list[dict[str, Any]] = []
        self.version = 0
        self._news = asyncio.Event()

    def write(self, what: str, **values: Any) -> None:  # noqa: ANN401  JSON
        self.entries.append({"what": what, **values})
        self._file.write(json.dumps(self.entries[-1], ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.changed()

    def changed(self) -> None:
        self.version += 1
        self._news.set()

    async def after(self, version: int) -> None:
        """Wait until the version is above `version`."""
        while self.version <= version:
            self._news.clear()
            await self._news.wait()


def seen(fields: dict[str, Any]) -> dict[str, Any]:
    """A message as people see it: its text, its pings and its buttons; and `spoken`, which a screen reader reads.

    Slack: "text is used in places where content cannot be rendered, such as for screen readers"
    (docs.slack.dev/reference/methods/chat.postMessage). Without it Slack makes one of Markdown.
    """
    raw = _words(fields)
    markdown = any(block["type"] == "markdown" for block in fields.get("blocks") or []) or "markdown_text" in fields
    text = _unescaped(raw, code_is_literal=markdown)
    shows_previews = fields.get("unfurl_links", True) or fields.get("unfurl_media", True)
    return {
        "text": text,
        "spoken": html.unescape(fields.get("text") or text),
        "pings": MENTION.findall("\n".join([fields.get("text", ""), raw])),
        "buttons": list(_buttons(fields.get("blocks") or [])),
        "previews_links": shows_previews and LINK.search(text) is not None,
    }


def _words(fields: dict[str, Any]) -> str:
    blocks = [block["text"] for block in fields.get("blocks") or [] if "text" in block]
    if blocks:
        return "\n".join(text if isinstance(text, str) else text["text"] for text in blocks)
    return fields.get("markdown_text") or fields.get("text") or ""


def _unescaped(text: str, *, code_is_literal: bool) -> str:
    """The text without escapes and the spaces of hard line breaks. Mrkdwn has entities in code, and no backslashes."""
    if not code_is_literal:
        return html.unescape(text)
    parts = CODE.split(text)
    return "".join(part if number % 2 else _shown(part) for number, part in enumerate(parts))


def _shown(markdown: str) -> str:
    return html.unescape(ESCAPE.sub(r"\1", markdown.replace("  \n", "\n")))


def _buttons(blocks: list[dict[str, Any]]) -> Any:  # noqa: ANN401
    for element in (element for block in blocks for element in block.get("elements", [])):
        if element["type"] == "feedback_buttons":
            for side in ("positive_button", "negative_button"):
                yield {"action": element["action_id"], "value": element[side]["value"]}
        elif element["type"] == "button":
            yield {"action": element["action_id"], "value": element["value"]}
