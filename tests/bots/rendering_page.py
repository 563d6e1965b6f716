"""`python -m tests.bots.rendering_page` writes docs/rendering.md: one rich answer, and what each platform gets."""

from collections.abc import Iterator
from pathlib import Path

from bots.slack import rendering as slack
from bots.telegram import text as telegram

PAGE = Path(__file__).parents[2] / "docs" / "rendering.md"
ANSWER = r"""# Sorting in Python

Use **`sorted`** for *any* iterable; see [the docs](https://docs.python.org/3/library/functions.html#sorted)
and ~~my notes~~ `README.md`. **注意：**原列表不变。

1. It returns a new list:

   ~~~python
   names = sorted(names, key=lambda name: name[::-1])
   ~~~
2. It is stable.
   - Equal items keep their order.
   - [ ] Try it with setup.py.

> Cost: \( n \log n \) comparisons, 2**10 * 10 for a thousand names.

| Way    | Returns | New? |
|:-------|:-------:|-----:|
| sorted | list    |  yes |
| .sort  | None    |   no |

---
Ask @ann or <!channel> & <b>me</b>.
"""
TEXT = """\
# How an answer looks

Written by `python -m tests.bots.rendering_page`, and compared with the code by a test. The reasons are in
[decision 0037](decisions/0037-a-tree-entities-and-slacks-markdown.md).

## What the model writes

{source}

## Telegram

The text, in a private chat:

{telegram}

and its entities, as kind, text and address or language:

{entities}

## Slack

A `markdown` block, and the same in streams, previews and answers to slash commands:

{markdown}

`text`, for screen readers, notifications and workspaces that reject the block, before its signs are escaped:

{plain}
"""


def page() -> str:
    """The page as it should be."""
    shown, blocks = telegram.from_markdown(ANSWER), slack.from_markdown(ANSWER)
    return TEXT.format(
        source=_quoted(ANSWER.rstrip()),
        telegram=_quoted(shown.text),
        entities=_quoted("\n".join(_entities(shown.text))),
        markdown=_quoted(slack.markdown(blocks)),
        plain=_quoted(slack.plain(blocks)),
    )


def _entities(text: str) -> Iterator[str]:
    raw = text.encode("utf-16-le")
    for entity in telegram.entities(telegram.from_markdown(ANSWER)):
        covered = raw[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")
        detail = entity.url or entity.language or ""
        yield f"{entity.type:<13} {covered!r} {detail}".rstrip()


def _quoted(text: str) -> str:
    """A text dump. Invisible characters and spaces at the ends of lines are made visible."""
    visible = text.replace(slack.WORD_JOINER, "⁀").replace("  \n", "␣␣\n")
    return f"`````text\n{visible}\n`````"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
