"""The innermost handler: the model writes the reply. Nobody else knows about streaming."""

from dataclasses import dataclass

from core.clock import Clock, until
from core.engine.deadline import in_time
from core.engine.protocol import Engine
from core.errors import EmptyReply, EngineStalled
from core.i18n import say
from core.language import reply_language
from core.messages import NO_USAGE, Finish, Reply, Source, Turn, Usage
from core.pipeline import Handler
from core.prompt import Persona, chat_prompt
from core.text import digest, without_controls

FRAME_TOKENS = 10
"""What role names and control tokens around a question and its answer cost, at most, when read as history."""

ANEW_TEMPERATURE = 0.9
"""How freely a model writes that is asked for another answer to the same question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyLimits:
    """How long a reply may be, in tokens, and take, in seconds."""

    max_tokens: int = 256
    total_timeout: float = 120.0


@dataclass(slots=True, kw_only=True)
class _Draft:
    """What there is of a reply so far."""

    text: str = ""
    finish: Finish = Finish.TIMEOUT
    usage: Usage = NO_USAGE


def generate(engine: Engine, persona: Persona, limits: ReplyLimits, clock: Clock) -> Handler:
    """The handler that lets the model write.

    What there is of a reply is shown when a deadline or the person ends it, and is not remembered.
    """

    async def handler(turn: Turn) -> Reply:
        draft = _Draft()
        question = await engine.count_tokens(turn.message.text)
        try:
            async with until(turn.stopped.wait):
                await in_time(_write(engine, persona, limits, turn, draft), clock, limits.total_timeout)
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
        tokens = question + draft.usage.completion_tokens + FRAME_TOKENS
        return Reply(text=text, source=Source.MODEL, finish=draft.finish, usage=draft.usage, tokens=tokens)

    return handler


async def _write(engine: Engine, persona: Persona, limits: ReplyLimits, turn: Turn, draft: _Draft) -> None:
    message = turn.message
    prompt = chat_prompt(persona, reply_language(turn), turn.history, message.text, turn.mood, message.context)
    temperature = ANEW_TEMPERATURE if turn.anew else None
    user = digest(f"{message.conversation} {message.sender}").hex()
    async with engine.stream(prompt, max_tokens=limits.max_tokens, temperature=temperature, user=user) as pieces:
        async for piece in pieces:
            if piece.finish is not None:
                draft.finish, draft.usage = piece.finish, piece.usage
            if text := without_controls(piece.text):
                draft.text += text
                await turn.sink(text)
