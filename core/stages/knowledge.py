"""Answers from what the bot knows: word for word, or by the model from the passages that were found."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from core.commands import has_buttons
from core.engine.estimate import estimate_tokens
from core.i18n import say
from core.intent import Intent, IntentReader
from core.knowledge.gaps import Searched
from core.knowledge.passages import Findings, Match, Passage
from core.language import reply_language
from core.messages import Choice, Finish, Locale, Quote, Relation, Reply, Source, Turn
from core.pipeline import Handler, Stage
from core.pleasantries import is_pleasantry
from core.questions import leans

GROUNDS = 3
"""Passages that the model answers from. More would crowd out the history, and a small model mixes them up."""

SUGGESTIONS = 3
"""Questions that a refusal suggests at most."""


class Knowledge(Protocol):
    """What the bot knows. `version` changes with it."""

    @property
    def version(self) -> str:
        """Part of the key of answers that are cached."""

    async def search(self, question: str, *, language: Locale) -> Findings:
        """What is known about a question; answers in this language come first."""

    async def with_passage(self, passage: Passage) -> Searched:
        """What it would be if it had one passage more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expertise:
    """What the bot knows, and the folder that it is read from.

    If `strict`, it answers nothing else but what `intents` reads as small talk or thanks.
    """

    knowledge: Knowledge
    folder: Path
    intents: IntentReader
    strict: bool


def knowledge(expertise: Expertise | None, *, has_people: bool) -> Stage:
    """The stage that answers from what is known. Without expertise it does nothing.

    If no passage fits, the model answers as it does without knowledge. If it must be strict, the question is refused:
    questions that have an answer are suggested, and a person is offered if the bot `has_people` to ask. A question that
    is asked again is put to the model, since the same words would not help.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        if expertise is None or is_pleasantry(turn.message.text):
            return await call_next(turn)
        language = reply_language(turn)
        found = await expertise.knowledge.search(_question(turn), language=language)
        if found.confident and not turn.message.again and not _was_just_said(turn, found.confident):
            return await _said(turn, found.confident, language)
        if grounds := found.grounds[:GROUNDS]:
            reply = await call_next(_grounded(turn, grounds))
            return _cited(reply, grounds[0], language)
        if expertise.strict and not await _is_small_talk(expertise.intents, turn.message.text, language):
            suggested = found.suggestions[:SUGGESTIONS]
            return _not_known(turn, suggested, has_people=has_people and has_buttons(turn.message.conversation))
        return await call_next(turn)

    return stage


def _was_just_said(turn: Turn, match: Match) -> bool:
    """Whether the last answer had these words. "And by cheque?" is a question to them, to which they are no answer."""
    return leans(turn.message.text) and turn.history[-1:] != () and turn.history[-1].answer == match.passage.text


async def _is_small_talk(intents: IntentReader, text: str, language: Locale) -> bool:
    reading = await intents.read(text, language)
    return reading.label in {Intent.SMALLTALK, Intent.THANKS}


def _question(turn: Turn) -> str:
    """What is searched for: the message, after the question before it if it leans on that ("and for shoes?")."""
    text = turn.message.text
    if not turn.history or not leans(text):
        return text
    return f"{turn.history[-1].question}\n{text}"


async def _said(turn: Turn, match: Match, language: Locale) -> Reply:
    text = match.passage.text
    await turn.sink(text)
    tokens = estimate_tokens(f"{turn.message.text}\n{text}")
    return Reply(text=text, source=Source.KNOWLEDGE, tokens=tokens, cites=_names(match, language))


def _not_known(turn: Turn, suggested: tuple[str, ...], *, has_people: bool) -> Reply:
    """An honest refusal, with the questions that may have been meant, and a button to ask a person if there are any."""
    lines = [say(turn.locale, "knowledge.unsure" if suggested else "knowledge.unknown")]
    lines += [f"{number}. {question}" for number, question in enumerate(suggested, start=1)]
    if has_people:
        lines.append(say(turn.locale, "knowledge.or_a_person" if suggested else "knowledge.a_person"))
    return Reply(
        text="\n".join(lines),
        source=Source.REFUSAL,
        error="not_known",
        choices=(Choice.ASK,) if has_people else (),
        suggestions=suggested,
    )


def _grounded(turn: Turn, grounds: tuple[Match, ...]) -> Turn:
    """The turn with the passages as quotes, the best one last, which is shortened last."""
    passages = tuple(Quote(relation=Relation.KNOWN, text=match.passage.text) for match in reversed(grounds))
    return replace(turn, message=replace(turn.message, quotes=(*passages, *turn.message.quotes)))


def _cited(reply: Reply, match: Match, language: Locale) -> Reply:
    is_whole = reply.source is Source.MODEL and reply.finish in {Finish.STOP, Finish.LENGTH}
    return replace(reply, cites=_names(match, language)) if is_whole else reply


def _names(match: Match, language: Locale) -> str:
    return say(language, "knowledge.from", heading=match.passage.heading or match.passage.file)
