"""How replies look on Slack: text, blocks and buttons, each with plainer forms to fall back on."""

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

from bots.slack.text import escaped, markdown, split
from bots.slack.translate import AGAIN, VOTE
from core.i18n import say
from core.messages import Locale, Reply, Source
from core.mood import EMOJI

RICH_SIZES, PLAIN_SIZES = (11_500, 3_800, 1_900), (3_800, 1_900)
"""Characters a message may have, and what to try when it is too long all the same."""
NOTICE = 300
"""Characters of a reply that a notification shows."""
WRITTEN = {Source.MODEL, Source.CACHE}
"""Replies that are Markdown and can be voted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to say something: `markdown` alone, or `text` with `blocks` in its place."""

    text: str = ""
    markdown: str = ""
    blocks: Sequence[Block] = field(default_factory=tuple)

    def fields(self) -> Mapping[str, object]:
        """Without blocks there is an empty list of them: an edit would leave those of the message as they are."""
        return {"markdown_text": self.markdown} if self.markdown else {"text": self.text, "blocks": list(self.blocks)}


Forms: TypeAlias = tuple[Form, ...]
"""Ways to say the same, the best first."""


def plain_form(text: str) -> Form:
    return Form(text=escaped(text))


def rich_forms(text: str, buttons: Sequence[Sequence[Block]] = ((),)) -> Forms:
    """Markdown with each kind of `buttons`, then without, then as plain text."""
    notice, body = escaped(text[:NOTICE]), MarkdownBlock(text=markdown(text))
    with_blocks = tuple(Form(text=notice, blocks=(body, *row)) for row in buttons)
    return (*with_blocks, Form(markdown=markdown(text)), plain_form(text))


def reply_forms(reply: Reply, turn_id: int, locale: Locale) -> tuple[tuple[Forms, ...], ...]:
    """A reply as one or more messages, in each of the sizes it may have to be cut to."""
    text = spoken(reply)
    if reply.source not in WRITTEN:
        return tuple(tuple((plain_form(part),) for part in split(text, size)) for size in PLAIN_SIZES)
    buttons = _buttons(turn_id, locale, again=reply.tokens > 0)
    return tuple(_rich_parts(split(text, size), buttons) for size in RICH_SIZES)


def spoken(reply: Reply) -> str:
    """A reply's words, with the mood it answers where the person wants to see it."""
    return reply.text + (f" {EMOJI[reply.mood.label]}" if reply.mood and reply.show_mood else "")


def _rich_parts(parts: Sequence[str], buttons: Sequence[Sequence[Block]]) -> tuple[Forms, ...]:
    """Buttons stand under the last part."""
    return (*(rich_forms(part) for part in parts[:-1]), rich_forms(parts[-1], buttons))


def _buttons(turn_id: int, locale: Locale, *, again: bool) -> Sequence[Sequence[Block]]:
    """Slack's own feedback buttons, or ordinary ones where a workspace does not know them."""
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
