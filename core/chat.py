"""The stages that every turn passes, top to bottom, between its claim and its reply."""

from dataclasses import dataclass

from core.clock import Clock
from core.engine.protocol import Engine
from core.faces import ShowMood
from core.forgetting import Memory
from core.help_desk import HelpDesk
from core.intent import IntentReader
from core.pipeline import Handler, compose
from core.prompt import Persona
from core.school import School
from core.stages.audit import audit
from core.stages.cache import AnswerCache, cache
from core.stages.commands import Desk, commands
from core.stages.generate import ReplyLimits, generate
from core.stages.guard import guard
from core.stages.history import history
from core.stages.knowledge import Expertise, knowledge
from core.stages.mood import MoodReader, mood
from core.stages.person import person
from core.stages.preferences import preferences
from core.stages.quotes import quotes
from core.stages.refusals import refusals
from core.stages.retry import retry
from core.stages.suggested import suggested
from core.store import Store
from core.text import digest
from core.tracing import UNTRACED, Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """Persona and limits of the bot.

    `show_mood` are the moods that replies show. `admins` see everybody's totals. With `shared_history` the people of a
    conversation see each other's words. Conversations are handed over to people at the `help_desk`.
    """

    persona: Persona
    show_mood: ShowMood
    max_input_tokens: int
    shared_history: bool
    admins: frozenset[str]
    reply: ReplyLimits
    help_desk: HelpDesk | None = None


def chatbot(  # noqa: PLR0913  one parameter for each part that the stages share
    store: Store,
    engine: Engine,
    moods: MoodReader,
    answers: AnswerCache,
    clock: Clock,
    options: ChatOptions,
    *,
    expertise: Expertise | None = None,
    intents: IntentReader | None = None,
    tracing: Tracing = UNTRACED,
    owner: str = "",
) -> Handler:
    """The handler that returns a reply to every turn. Calls of `engine` must have deadlines: `IdleTimeoutEngine`.

    Without `intents` a person is asked for by words and commands alone. `owner` is the gateway.
    """
    persona = _digest(options.persona)
    desk = Desk(
        name=options.persona.name,
        store=store,
        memory=Memory(store=store, engine=engine, clock=clock, owner=owner),
        clock=clock,
        answers=answers,
        admins=options.admins,
        shared_history=options.shared_history,
        show_mood=options.show_mood,
        help_desk=options.help_desk,
        school=School(store=store, knowledge=expertise.knowledge, folder=expertise.folder) if expertise else None,
    )

    def revision() -> str:
        return f"{persona} {expertise.knowledge.version}" if expertise else persona

    writer = generate(engine, options.persona, options.reply, clock, shared_history=options.shared_history)
    return compose(
        audit(clock),
        preferences(store, options.show_mood),
        refusals,
        retry(clock),
        tracing.stage("guard", guard(engine, options.max_input_tokens)),
        commands(desk),
        person(store, options.help_desk, intents, clock.now),
        suggested(store),
        history(store, shared=options.shared_history),
        cache(answers, engine, revision, store),
        tracing.stage("knowledge", knowledge(expertise, has_people=options.help_desk is not None)),
        quotes(engine, options.max_input_tokens),
        tracing.stage("mood", mood(moods)),
        innermost=tracing.handler("generate", writer),
    )


def _digest(persona: Persona) -> str:
    return digest(repr((persona.name, sorted(persona.system.items())))).hex()
