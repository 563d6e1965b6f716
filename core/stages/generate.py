"""The innermost handler: the model generates the reply. No other stage knows about streaming."""

from dataclasses import dataclass

from core.clock import Clock, until
from core.engine.deadline import in_time
from core.engine.protocol import Engine
from core.errors import EmptyReply, EngineStalled
from core.i18n import say
from core.language import reply_language
from core.messages import NO_USAGE, Finish, Reply, Source, Turn, Usage
from core.parts import in_history, in_prompt
from core.pipeline import Handler
from core.prompt import Persona, chat_prompt
from core.repetition import ends_sentence, loop_start
from core.scopes import scope
from core.text import without_controls

FRAME_TOKENS = 10
"""Upper bound of the tokens that a chat template adds to a question and its answer."""

ANEW_TEMPERATURE = 0.9
"""Sampling temperature for a question asked again, so that the new answer differs from the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyLimits:
    """Limits of a reply: its length in tokens, and its generation time in seconds."""

    max_tokens: int
    total_timeout: float


@dataclass(slots=True, kw_only=True)
class _Draft:
    """The reply generated so far."""

    text: str = ""
    finish: Finish = Finish.TIMEOUT
    usage: Usage = NO_USAGE


def generate(engine: Engine, persona: Persona, limits: ReplyLimits, clock: Clock, *, shared_history: bool) -> Handler:
    """The handler that generates the reply. With `shared_history` the people of a conversation reuse each other's
    prompts, which hold the same words.

    A reply that a deadline or the person ends is shown as far as it goes, and is not added to the history. A reply that
    repeats itself ends before the repetition, as if the model had ended it there.
    """

    async def handler(turn: Turn) -> Reply:
        draft = _Draft()
        message = turn.message
        question = await engine.count_tokens(in_history(message.text, message.quotes, message.media, turn.locale))
        try:
            async with until(turn.stopped.wait):
                await in_time(
                    _write(engine, persona, limits, turn, draft, _scope(turn, shared=shared_history)),
                    clock,
                    limits.total_timeout,
                )
        except TimeoutError:
            text = draft.text.strip() or say(turn.locale, "command.stopped")
            return Reply(text=text, source=Source.MODEL, finish=Finish.STOPPED)
        except EngineStalled:
            if not draft.text.strip():
                raise
            text = say(turn.locale, "apology.engine_stalled_partial", text=draft.text.strip())
            return Reply(text=text, source=Source.MODEL, finish=Finish.TIMEOUT, error="engine_stalled")
        if not (text := draft.text.strip()):
            raise EmptyReply
        written = draft.usage.completion_tokens or await engine.count_tokens(text)
        tokens = question + written + FRAME_TOKENS
        return Reply(text=text, source=Source.MODEL, finish=draft.finish, usage=draft.usage, tokens=tokens)

    return handler


def _scope(turn: Turn, *, shared: bool) -> str:
    conversation, sender = str(turn.message.conversation), str(turn.message.sender)
    return scope(conversation) if shared else scope(conversation, sender)


async def _write(engine: Engine, persona: Persona, limits: ReplyLimits, turn: Turn, draft: _Draft, user: str) -> None:
    message, language = turn.message, reply_language(turn)
    prompt = chat_prompt(persona, language, turn.history, in_prompt(message, language), turn.mood)
    temperature = ANEW_TEMPERATURE if message.again else None
    async with engine.stream(prompt, max_tokens=limits.max_tokens, temperature=temperature, user=user) as pieces:
        async for piece in pieces:
            if piece.finish is not None:
                draft.finish, draft.usage = piece.finish, piece.usage
            if text := without_controls(piece.text):
                draft.text += text
                await turn.sink(text)
            if ends_sentence(piece.text) and (start := loop_start(draft.text)) is not None:
                draft.text, draft.finish = draft.text[:start], Finish.STOP
                return
