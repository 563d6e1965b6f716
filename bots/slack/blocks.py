"""Words in Slack's blocks, as Slack's own markup, so that `text.plain` reads them like any other text.

Total: whatever is not a block, or has no words, is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bots.slack.text import escaped

TABLES = {"table", "data_table"}
SILENT = {"actions", "context_actions", "input", "divider"}
"""Blocks of buttons and lines."""
WORDY = ("title", "subtitle", "text", "body", "description", "caption", "fields", "elements", "blocks", "alt_text")
"""Fields of a block that hold words, or blocks with words."""

FORMS: Mapping[str, tuple[str, str]] = {
    "user": ("user_id", "<@{}>"),
    "channel": ("channel_id", "<#{}>"),
    "usergroup": ("usergroup_id", "<!subteam^{}>"),
    "broadcast": ("range", "<!{}>"),
    "date": ("fallback", "{}"),
    "color": ("value", "{}"),
}
"""Pieces of rich text that have one field with words, and their markup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The words of a message's blocks; those in tables apart, since a person pastes these and does not say them."""

    words: str = ""
    tables: str = ""

    def __str__(self) -> str:
        return _joined([self.words, self.tables])


def read_blocks(value: object) -> Blocks:
    """The words of a list of blocks, as it comes in JSON."""
    blocks = [(_type(block) in TABLES, _block(block)) for block in _items(value)]
    return Blocks(
        words=_joined(words for is_table, words in blocks if not is_table),
        tables=_joined(words for is_table, words in blocks if is_table),
    )


def read_message_blocks(value: object) -> Blocks:
    """The words of a shared message: its blocks stand in a message of their own."""
    found = [_get(_get(item, "message"), "blocks") or [item] for item in _items(value)]
    return read_blocks([block for blocks in found for block in _items(blocks)])


def _block(block: object) -> str:
    match _type(block):
        case kind if kind in SILENT:
            return ""
        case kind if kind in TABLES:
            return _joined(_row(row) for row in _items(_get(block, "rows")))
        case "rich_text":
            return _joined(_rich(element) for element in _items(_get(block, "elements")))
        case "mrkdwn":
            return _string(_get(block, "text"))
        case _:
            return _joined(_words_in(block))


def _words_in(block: object) -> Iterator[str]:
    """The words of a block without a form of its own. Text that is no markup is escaped."""
    for field in WORDY:
        value = _get(block, field)
        yield escaped(_string(value))
        yield _block(value) if isinstance(value, dict) else ""
        yield from map(_block, _items(value))


def _row(row: object) -> str:
    cells = (" ".join(_block(cell).split()) or _string(_get(cell, "value")) for cell in _items(row))
    return " | ".join(cells)


def _rich(element: object) -> str:
    """A paragraph of rich text."""
    inner = _items(_get(element, "elements"))
    match _type(element):
        case "rich_text_list":
            indent = "  " * min(_number(_get(element, "indent")), 8)
            first = _number(_get(element, "offset")) + 1
            ordered = _get(element, "style") == "ordered"
            return "\n".join(
                f"{indent}{f'{number}.' if ordered else '•'} {_rich(item)}" for number, item in enumerate(inner, first)
            )
        case "rich_text_preformatted":
            return f"```\n{_line(inner)}\n```"
        case "rich_text_quote":
            return "\n".join(f"&gt; {line}" for line in _line(inner).splitlines())
        case _:
            return _line(inner)


def _line(elements: Iterable[object]) -> str:
    return "".join(map(_piece, elements)).strip("\n")


def _piece(element: object) -> str:
    """A piece of a line: text, emoji, link or mention."""
    match element:
        case {"type": "text", "text": str(text)}:
            is_code = _get(_get(element, "style"), "code") is True
            return f"`{escaped(text)}`" if is_code else escaped(text)
        case {"type": "emoji", "name": str(name)}:
            return _characters(_string(_get(element, "unicode"))) or f":{name}:"
        case {"type": "link", "url": str(url)}:
            label = escaped(_string(_get(element, "text")))
            return f"<{url}|{label}>" if label else f"<{url}>"
    field, form = FORMS.get(_type(element), ("", "{}"))
    return form.format(escaped(_string(_get(element, field))))


def _characters(codes: str) -> str:
    """The characters of an emoji from their codes, such as "1f44b-1f3fc"; empty if these are none."""
    try:
        return "".join(chr(int(code, 16)) for code in codes.split("-"))
    except (ValueError, OverflowError):
        return ""


def _joined(paragraphs: Iterable[str]) -> str:
    return "\n".join(filter(str.strip, paragraphs))


def _get(value: object, field: str) -> object:
    return value.get(field) if isinstance(value, dict) else None


def _type(value: object) -> str:
    return _string(_get(value, "type"))


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _string(value: object) -> str:
    """The value as text, also a number in a table."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if isinstance(value, str) or is_number else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
