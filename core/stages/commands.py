"""Carries out commands."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from core import entry, teaching
from core.clock import Clock
from core.commands import (
    ACCESS,
    ADMIN_COMMANDS,
    EXPORT,
    FORGET,
    GAPS,
    HELP,
    HUMAN,
    LANG,
    MOOD,
    RESET,
    RETRY,
    START,
    STATS,
    TEACH,
    Call,
    Command,
    has_buttons,
    help_text,
    offered,
    parse,
    prefix_in,
    start_text,
)
from core.errors import KnowledgeMissing
from core.exporting import all_records
from core.faces import ShowMood
from core.forgetting import Memory, forget_person
from core.help_desk import HelpDesk
from core.i18n import LOCALES, say
from core.messages import ANSWERS, Label, Locale, Reply, Source, Turn
from core.pipeline import Handler, Stage
from core.school import School
from core.stages.cache import AnswerCache
from core.stages.person import hand_over
from core.store import Store, admissions, history, outcomes, people, questions, totals

WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The parts of the bot that commands use. `name` is that of its persona. Without knowledge there is no `school`."""

    name: str
    store: Store
    memory: Memory
    clock: Clock
    answers: AnswerCache
    admins: frozenset[str]
    shared_history: bool
    show_mood: ShowMood
    help_desk: HelpDesk | None
    school: School | None


Run: TypeAlias = Callable[[Desk, Turn, str], Awaitable[str]]
"""Carries out a command with its argument; returns the text of the reply."""


def commands(desk: Desk) -> Stage:
    """The stage that carries out commands; every other message passes through."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        call = parse(turn.message.text)
        if call is None:
            return await call_next(turn)
        if call.command is RETRY:
            return await _retry(desk, turn, call_next)
        if call.command is HUMAN and desk.help_desk and has_buttons(turn.message.conversation):
            return await hand_over(desk.store, desk.help_desk, turn, desk.clock.now())
        return Reply(text=await _run(desk, turn, call), source=Source.COMMAND)

    return stage


async def _run(desk: Desk, turn: Turn, call: Call) -> str:
    command, prefix = call.command, prefix_in(turn.message.conversation)
    is_hidden = command in ADMIN_COMMANDS and turn.message.sender.name not in desk.admins
    if command is None or command not in RUN or is_hidden:
        return say(turn.locale, "command.unknown", name=prefix + call.name.lower(), prefix=prefix)
    argument = call.argument if command.takes_text else call.argument.lower()
    if not command.accepts(argument):
        return say(turn.locale, "command.usage", usage=command.usage_with(prefix))
    return await RUN[command](desk, turn, argument)


async def _retry(desk: Desk, turn: Turn, call_next: Handler) -> Reply:
    """Generate another answer to the last question."""
    asked = await desk.store.run(questions.ask_last_again, turn.message, turn.id)
    if asked is None:
        return Reply(text=say(turn.locale, "command.nothing_to_retry"), source=Source.COMMAND)
    return await call_next(replace(turn, message=asked))


async def help_(desk: Desk, turn: Turn, _argument: str) -> str:
    return help_text(turn.locale, _offered(desk, turn), prefix_in(turn.message.conversation))


async def start(desk: Desk, turn: Turn, _argument: str) -> str:
    """Say who the bot is. What stands behind the command comes from a link, which anybody can make."""
    return start_text(desk.name, turn.locale, _offered(desk, turn), prefix_in(turn.message.conversation))


def _offered(desk: Desk, turn: Turn) -> Sequence[Command]:
    has_people = desk.help_desk is not None and has_buttons(turn.message.conversation)
    return offered(desk.show_mood, has_people=has_people)


async def reset(desk: Desk, turn: Turn, _argument: str) -> str:
    person = None if desk.shared_history else turn.message.sender
    await desk.store.run(history.reset, turn.message.conversation, person)
    return say(turn.locale, "command.reset")


async def lang(desk: Desk, turn: Turn, argument: str) -> str:
    """Show or set the person's language; "auto" goes by their sentences again."""
    if not argument:
        current = say(turn.locale, f"language.{turn.locale}")
        usage = LANG.usage_with(prefix_in(turn.message.conversation))
        return say(turn.locale, "command.lang_now", current=current, usage=usage)
    chosen = next((locale for locale in LOCALES if locale == argument), None)
    await desk.store.run(people.set_locale, turn.message.sender, chosen)
    return say(chosen, "command.lang_set") if chosen else say(turn.locale, "command.lang_auto")


async def mood(desk: Desk, turn: Turn, argument: str) -> str:
    """Show or hide the detected mood. The mood influences the replies either way.

    The choice is stored even if moods are never shown, for the day when that option is changed.
    """
    await desk.store.run(people.set_show_mood, turn.message.sender, argument == "on")
    return say(turn.locale, f"command.mood_{desk.show_mood}" if argument == "on" else "command.mood_off")


async def stats(desk: Desk, turn: Turn, _argument: str) -> str:
    """The person's totals; for admins everybody's totals, the outcomes of the last week and the hit rate of the answer
    cache as well.

    To others these would tell whether somebody else has asked a question before.
    """
    sender = turn.message.sender
    own = await desk.store.read(totals.totals, sender)
    text = say(turn.locale, "command.stats", **_figures(own))
    if sender.name not in desk.admins:
        return text.strip()
    figures = _figures(await desk.store.read(totals.totals, None))
    together = say(turn.locale, "command.stats_all", **figures, hits=desk.answers.hits, misses=desk.answers.misses)
    return f"{text.strip()}\n{together.strip()}\n{await _last_week(desk, turn.locale)}"


async def _last_week(desk: Desk, locale: Locale) -> str:
    now = desk.clock.now()
    found = await desk.store.read(outcomes.measure, now - WEEK, now)
    text = say(
        locale,
        "command.stats_week",
        cases=found.cases,
        resolved=found.resolved,
        handed_over=found.handed_over,
        reopened=found.reopened,
        gaps=found.gaps,
    )
    if found.first_answer.median is None:
        return text
    return f"{text}\n{say(locale, 'command.stats_wait', seconds=round(found.first_answer.median))}"


def _figures(counted: totals.Totals) -> dict[str, int]:
    return {
        "answered": sum(counted.sources[source] for source in ANSWERS),
        "cached": counted.sources[Source.CACHE],
        "refused": counted.sources[Source.REFUSAL],
        "positive": counted.moods[Label.POSITIVE],
        "negative": counted.moods[Label.NEGATIVE],
        "neutral": counted.moods[Label.NEUTRAL],
        "up": counted.up,
        "down": counted.down,
    }


async def export(desk: Desk, turn: Turn, _argument: str) -> str:
    """Everything stored about the person, as JSON."""
    kept = all_records(desk.store, turn.message.sender)
    rows = [asdict(record) | {"sent_at": _iso(record.sent_at)} async for record in kept]
    if not rows:
        return say(turn.locale, "command.export_empty")
    return json.dumps(rows, ensure_ascii=False, indent=1)


async def forget(desk: Desk, turn: Turn, argument: str) -> str:
    """Delete everything stored about the person, but ask them first. The answer says what is not done yet."""
    if argument != "yes":
        typed = f"{prefix_in(turn.message.conversation)}{FORGET.name} yes"
        key = "command.forget_kept" if argument else _asks(turn, "command.forget_asks")
        return say(turn.locale, key, command=typed)
    sender, answers = turn.message.sender, desk.answers
    left = await forget_person(desk.memory, sender, forget_answers=answers.forget, turn_id=turn.id)
    said = ["forget", *["forget_log"] * left.in_log, *[f"forget_model_{left.in_model}"] * bool(left.in_model)]
    return "\n".join(say(turn.locale, f"command.{key}") for key in said)


async def access(desk: Desk, turn: Turn, argument: str) -> str:
    """Name the people who were let in; or ask whether to let a person in, or do what was answered."""
    name, _, decision = argument.partition(" ")
    prefix = prefix_in(turn.message.conversation)
    typed = prefix + ACCESS.name
    if not name:
        inside = ", ".join(person.name for person in await desk.store.run(admissions.admitted))
        usage = ACCESS.usage_with(prefix)
        return say(turn.locale, "access.inside" if inside else "access.nobody", people=inside, usage=usage)
    found = await desk.store.run(admissions.known, [name])
    if not found:
        return say(turn.locale, "access.unknown", person=name)
    if decision not in {"yes", "no"}:
        return say(turn.locale, _asks(turn, "access.asks"), person=found[0].name, command=f"{typed} {found[0].name}")
    for person in found:
        await desk.store.run(entry.decide, person, decision == "yes", turn.message.sent_at)
    return say(turn.locale, "access.let_in" if decision == "yes" else "access.refused", person=found[0].name)


async def gaps(desk: Desk, turn: Turn, _argument: str) -> str:
    return await teaching.list_gaps(_school(desk), turn)


async def teach(desk: Desk, turn: Turn, argument: str) -> str:
    return await teaching.teach(_school(desk), turn, argument)


def _school(desk: Desk) -> School:
    if desk.school is None:
        raise KnowledgeMissing
    return desk.school


def _asks(turn: Turn, key: str) -> str:
    """The key of a question's words, which speak of buttons only if there are any."""
    return key if has_buttons(turn.message.conversation) else f"{key}_in_words"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


RUN: Mapping[Command, Run] = {
    START: start,
    HELP: help_,
    RESET: reset,
    LANG: lang,
    MOOD: mood,
    STATS: stats,
    EXPORT: export,
    FORGET: forget,
    ACCESS: access,
    GAPS: gaps,
    TEACH: teach,
}
"""All commands but /stop, which admission answers, /retry, which goes on to the model, and /human."""
