"""Turns and replies as the HTTP interface shows them."""

import html
from typing import Literal

from pydantic import BaseModel, Field

from bots.additions import with_additions
from bots.markdown import as_html
from bots.web.buttons import SUGGESTED
from bots.web.live import Begun, Event, Replied, Withdrawn, Written
from bots.web.streams import Sent
from core.delivery import Claim
from core.i18n import say
from core.messages import ANSWERS, Choice, Reply, Source
from core.store.transcripts import Shown


class ButtonView(BaseModel):
    """A button below a reply: its name for `/api/press`, and its words."""

    name: str
    label: str


class ReplyView(BaseModel):
    """A reply. `markdown` and `html` are the same text, with the mood's emoji and what the answer cites."""

    markdown: str
    html: str
    source: Source = Field(description="What produced it.")
    finish: str
    error: str = Field("", description="The kind of a refusal or an apology, in snake case.")
    mood: str | None = Field(None, description="The mood of the question: positive, negative or neutral.")
    buttons: list[ButtonView] = []


class TurnView(BaseModel):
    """A message and its reply. `reply` is null until the turn is done; `written` is what there is of it so far.

    What a person said in a hand-off has no question.
    """

    id: int
    question: str
    at: float = Field(description="When the message was sent, in UTC epoch seconds.")
    reply: ReplyView | None = None
    written: str = ""
    vote: Literal[-1, 0, 1] = 0


class Transcript(BaseModel):
    """The latest turns of a person, oldest first."""

    turns: list[TurnView]


class PieceView(BaseModel):
    """One more piece of a reply. It begins at a character, and replaces all that came after that."""

    turn: int
    at: int
    piece: str


class GoneView(BaseModel):
    """A turn that was withdrawn."""

    turn: int


def turn_view(claim: Claim, reply: Reply | None, *, written: str = "", vote: int = 0) -> TurnView:
    cast: Literal[-1, 0, 1] = 1 if vote > 0 else -1 if vote < 0 else 0
    return TurnView(
        id=claim.id,
        question="" if claim.is_passed_on else claim.message.text,
        at=claim.message.sent_at,
        reply=reply_view(reply, _buttons(claim, reply)) if reply else None,
        written=written,
        vote=cast,
    )


def shown_view(shown: Shown, written: str) -> TurnView:
    reply = shown.claim.reply
    return turn_view(shown.claim, reply, written="" if reply else written, vote=shown.vote)


def reply_view(reply: Reply, buttons: list[ButtonView]) -> ReplyView:
    markdown = with_additions(reply)
    return ReplyView(
        markdown=markdown,
        html=as_html(markdown) if reply.source in ANSWERS else f"<p>{html.escape(markdown)}</p>",
        source=reply.source,
        finish=reply.finish,
        error=reply.error,
        mood=reply.mood.label if reply.mood else None,
        buttons=buttons,
    )


def event_view(event: Event) -> Sent:
    match event:
        case Begun(claim=claim):
            return Sent(name="begun", data=turn_view(claim, None))
        case Written(turn_id=turn_id, at=at, piece=piece):
            return Sent(name="written", data=PieceView(turn=turn_id, at=at, piece=piece))
        case Replied(claim=claim, reply=reply):
            return Sent(name="replied", data=turn_view(claim, reply))
        case Withdrawn(turn_id=turn_id):
            return Sent(name="withdrawn", data=GoneView(turn=turn_id))


def _buttons(claim: Claim, reply: Reply) -> list[ButtonView]:
    """Below an answer its votes, below a question yes and no, and what the reply itself offers."""
    shown = [ButtonView(name=name, label=words) for name, words in zip(SUGGESTED, reply.suggestions, strict=False)]
    if Choice.ASK in reply.choices:
        shown.append(ButtonView(name=Choice.ASK, label=say(claim.locale, f"choice.{Choice.ASK}")))
    if words := claim.yes_or_no(reply):
        shown += [ButtonView(name=name, label=label) for name, label in zip(("yes", "no"), words, strict=True)]
    if reply.source in ANSWERS:
        shown += [ButtonView(name=name, label=say(claim.locale, f"web.{name}")) for name in ("up", "down", "again")]
    return shown
