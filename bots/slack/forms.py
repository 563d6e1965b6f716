"""Forms of a reply on Slack: Markdown, buttons and text, each with plainer forms to fall back on."""

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
    SectionBlock,
)
from slack_sdk.models.blocks.basic_components import MarkdownTextObject

from bots.additions import with_additions
from bots.markdown import FormattedText, split
from bots.slack.buttons import AGAIN, BAD, GOOD, NO, OF_HANDOFFS, SUGGESTED, YES, Button
from bots.slack.rendering import from_markdown, markdown, plain
from bots.slack.text import escaped
from core.i18n import say
from core.messages import ANSWERS, Locale, Reply

SIZES = (3_800, 1_900)
"""Characters of one message, the largest size first. A smaller one is tried if Slack finds a message too long.

An edit takes 4,000 characters of text, which screen readers read instead of the blocks, so it is the whole message.
"""
MAX_SECTION = 3_000
"""Characters of the text of a section, which stands above buttons (docs.slack.dev/reference/block-kit/blocks)."""
RESPONSE_SIZE = 11_500
"""Characters of one message at a response URL, which takes five. It is posted once and not edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The content of a message: `markdown` alone, or `blocks` with the same as `text`, or `text` alone."""

    text: str = ""
    markdown: str = ""
    blocks: Sequence[Block] = field(default_factory=tuple)

    def fields(self) -> Mapping[str, object]:
        """The fields of an API call. `blocks` is sent even if empty, since an edit without it keeps the old blocks."""
        return {"markdown_text": self.markdown} if self.markdown else {"text": self.text, "blocks": list(self.blocks)}

    def filled(self) -> Mapping[str, object]:
        """The fields of a call that posts a new message."""
        return {name: value for name, value in self.fields().items() if value}


Forms: TypeAlias = tuple[Form, ...]
"""Forms of the same content, the best first and plain text last."""
Rows: TypeAlias = Sequence[Sequence[Block]]
"""Kinds of the same buttons, the best first."""
NO_BUTTONS: Rows = ((),)


def plain_form(text: str) -> Form:
    return Form(text=escaped(text))


def question_forms(text: str, turn_id: int, words: Sequence[tuple[Button, str]]) -> Forms:
    """A question with buttons that have these words, then without."""
    bare = plain_form(text)
    buttons = ActionsBlock(
        elements=[ButtonElement(action_id=button.id, text=word, value=button.value(turn_id)) for button, word in words]
    )
    return Form(text=bare.text, blocks=(SectionBlock(text=MarkdownTextObject(text=bare.text)), buttons)), bare


def rich_forms(part: FormattedText, rows: Rows = NO_BUTTONS) -> Forms:
    """Markdown blocks with each kind of buttons, then Markdown alone, then plain text."""
    body, bare = MarkdownBlock(text=markdown(part)), plain_form(plain(part))
    with_blocks = tuple(Form(text=bare.text, blocks=(body, *row)) for row in rows)
    return (*with_blocks, Form(markdown=body.text), bare)


def reply_forms(
    reply: Reply, turn_id: int, locale: Locale, yes_or_no: tuple[str, str] | None = None
) -> tuple[tuple[Forms, ...], ...]:
    """The messages of a reply, for each size that it may have to be cut to, the largest first.

    A question has buttons with the words for `yes_or_no`.
    """
    if yes_or_no:
        words = tuple(zip((YES, NO), yes_or_no, strict=True))
        return ((question_forms(reply.text, turn_id, words),),) * len(SIZES)
    if reply.choices or reply.suggestions:
        return tuple(_choice_forms(reply, size, turn_id, locale) for size in SIZES)
    rows = _buttons(turn_id, locale)
    return tuple(_message_forms(reply, size, rows) for size in SIZES)


def _choice_forms(reply: Reply, size: int, turn_id: int, locale: Locale) -> tuple[Forms, ...]:
    """The messages of a reply, the last one with the buttons of its suggestions and of a hand-off."""
    *parts, last = parts_of(displayed(reply), min(size, MAX_SECTION))
    words = [(button, button.face) for button in SUGGESTED[: len(reply.suggestions)]]
    words += [(OF_HANDOFFS[choice], say(locale, f"choice.{choice}")) for choice in reply.choices]
    return (*((plain_form(part.text),) for part in parts), question_forms(last.text, turn_id, words))


def response_forms(reply: Reply) -> tuple[Forms, ...]:
    """The messages of a reply at a response URL, which takes neither buttons nor Markdown without blocks."""
    messages = _message_forms(reply, RESPONSE_SIZE, NO_BUTTONS)
    return tuple(tuple(form for form in forms if not form.markdown) for forms in messages)


def displayed(reply: Reply) -> FormattedText:
    """The text of a reply, with the emoji of a mood that is shown and with what it cites.

    Only the model's replies are Markdown; a command's text is shown as it is.
    """
    text = with_additions(reply)
    return from_markdown(text) if reply.source in ANSWERS else FormattedText(text=text)


def parts_of(whole: FormattedText, size: int) -> list[FormattedText]:
    """A text in parts of at most `size` characters, as Markdown and as plain text."""
    return split(whole, lambda part: max(len(markdown(part)), len(escaped(plain(part)))) <= size, size)


def _message_forms(reply: Reply, size: int, rows: Rows) -> tuple[Forms, ...]:
    """The forms of each part of a reply. The last part of the model's has the buttons."""
    *parts, last = parts_of(displayed(reply), size)
    if reply.source not in ANSWERS:
        return tuple((plain_form(part.text),) for part in (*parts, last))
    return (*map(rich_forms, parts), rich_forms(last, rows))


def _buttons(turn_id: int, locale: Locale) -> Rows:
    """Two kinds of buttons: Slack's own feedback buttons, and ordinary ones for a workspace that rejects those."""
    once_more = _button(AGAIN, turn_id, locale)
    good, bad = (
        FeedbackButtonObject(text=say(locale, button.label), value=button.value(turn_id)) for button in (GOOD, BAD)
    )
    own = FeedbackButtonsElement(action_id=GOOD.id, positive_button=good, negative_button=bad)
    votes = (_button(GOOD, turn_id, locale, ":up"), _button(BAD, turn_id, locale, ":down"))
    feedback = ContextActionsBlock(elements=[own])
    return (feedback, ActionsBlock(elements=[once_more])), (ActionsBlock(elements=[*votes, once_more]),)


def _button(button: Button, turn_id: int, locale: Locale, suffix: str = "") -> ButtonElement:
    """An ordinary button. The `suffix` tells two of one action apart, since action ids are unique within a block."""
    return ButtonElement(action_id=button.id + suffix, text=say(locale, button.label), value=button.value(turn_id))
