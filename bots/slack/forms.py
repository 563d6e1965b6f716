"""Forms of a reply on Slack: text, blocks and buttons, each with plainer forms to fall back on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextActionsBlock,
    FeedbackButtonObject,
    FeedbackButtonsElement,
    MarkdownBlock,
)

from bots.markdown import followed_by
from bots.slack.text import escaped, markdown, split
from bots.slack.translate import AGAIN, VOTE
from core.faces import face
from core.i18n import say
from core.messages import Locale, Reply, Source

RICH_SIZES, PLAIN_SIZES = (11_500, 3_800, 1_900), (3_800, 1_900)
"""Characters of one message, the largest size first. A smaller one is tried if Slack finds a message too long."""
ENDING_SIZE = 40
"""Characters that are left free for the emoji of the mood, and for the end of a code block before it."""
NOTIFICATION_SIZE = 300
"""Characters of a reply that a notification shows."""
WRITTEN_BY_MODEL = {Source.MODEL, Source.CACHE}
"""Replies that are Markdown and can be voted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The content of a message: `markdown` alone, or `blocks` with a `text` for notifications, or `text` alone."""

    text: str = ""
    markdown: str = ""
    blocks: Sequence[Block] = field(default_factory=tuple)

    def fields(self) -> Mapping[str, object]:
        """The fields of an API call. `blocks` is sent even if empty, since an edit without it keeps the old blocks."""
        return {"markdown_text": self.markdown} if self.markdown else {"text": self.text, "blocks": list(self.blocks)}


Forms: TypeAlias = tuple[Form, ...]
"""Forms of the same content, the best first and plain text last."""


def plain_form(text: str) -> Form:
    return Form(text=escaped(text))


def rich_forms(text: str, buttons: Sequence[Sequence[Block]] = ((),)) -> Forms:
    """Markdown blocks with each kind of `buttons`, then Markdown alone, then plain text."""
    notification, body = escaped(text[:NOTIFICATION_SIZE]), MarkdownBlock(text=markdown(text))
    with_blocks = tuple(Form(text=notification, blocks=(body, *row)) for row in buttons)
    return (*with_blocks, Form(markdown=markdown(text)), plain_form(text))


def reply_forms(reply: Reply, turn_id: int, locale: Locale) -> tuple[tuple[Forms, ...], ...]:
    """The messages of a reply, for each size that it may have to be cut to, the largest first."""
    if reply.source not in WRITTEN_BY_MODEL:
        return tuple(tuple((plain_form(part),) for part in displayed_parts(reply, size)) for size in PLAIN_SIZES)
    buttons = _buttons(turn_id, locale, again=reply.tokens > 0)
    return tuple(_rich_parts(displayed_parts(reply, size), buttons) for size in RICH_SIZES)


def displayed_parts(reply: Reply, size: int) -> tuple[str, ...]:
    """The text of a reply in parts of at most `size` characters, and at the end the emoji of a mood that is shown."""
    if not (emoji := face(reply)):
        return split(reply.text, size)
    *parts, last = split(reply.text, size - ENDING_SIZE)
    return (*parts, followed_by(last, emoji))


def _rich_parts(parts: Sequence[str], buttons: Sequence[Sequence[Block]]) -> tuple[Forms, ...]:
    """The forms of each part. The last part has the buttons."""
    return (*(rich_forms(part) for part in parts[:-1]), rich_forms(parts[-1], buttons))


def _buttons(turn_id: int, locale: Locale, *, again: bool) -> Sequence[Sequence[Block]]:
    """Two kinds of buttons: Slack's own feedback buttons, and ordinary ones for a workspace that rejects those."""
    once_more = [_button(AGAIN, say(locale, "slack.again"), str(turn_id))] if again else []
    good, bad = (say(locale, "slack.good"), f"1:{turn_id}"), (say(locale, "slack.bad"), f"-1:{turn_id}")
    own = FeedbackButtonsElement(
        action_id=VOTE,
        positive_button=FeedbackButtonObject(text=good[0], value=good[1]),
        negative_button=FeedbackButtonObject(text=bad[0], value=bad[1]),
    )
    votes = [_button(f"{VOTE}:up", *good), _button(f"{VOTE}:down", *bad)]
    feedback = ContextActionsBlock(elements=[own])
    return (feedback, *_row(once_more)), _row(votes + once_more)


def _button(action: str, text: str, value: str) -> ButtonElement:
    return ButtonElement(action_id=action, text=text, value=value)


def _row(buttons: Sequence[ButtonElement]) -> tuple[Block, ...]:
    return (ActionsBlock(elements=list(buttons)),) if buttons else ()
