"""An engine without a model: it replies from a script and records its calls. It ships with the product, for tests and
for trying a front end.
"""

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Self, TypeAlias

from core.clock import Clock
from core.engine.protocol import Piece
from core.errors import EngineLost, EngineUnavailable
from core.intent import Intent, intent_prompts
from core.labels import L, LabelPrompt
from core.messages import Finish, Label, Locale, Usage
from core.mood import mood_prompts
from core.prompt import Prompt

Script: TypeAlias = Callable[[Prompt, int], AsyncGenerator[str, None]]
"""Yields the pieces of the reply to a prompt; the number counts the replies before it."""
MoodOf: TypeAlias = Callable[[str], Label | None]
"""The mood of a prompt's last message; None stands for a server without logprobs."""
IntentOf: TypeAlias = Callable[[str], Intent]
"""The intent of a prompt's last message."""

SAMPLE = "Hello there, nice to hear from you. 很高兴收到你的消息。"
TOKEN = re.compile(r"\s*[!-~]+|\s*[^\s!-~]|\s+")
"""One token here: a word or one Chinese character, with the white space before it."""


def neutral(text: str) -> Label | None:  # noqa: ARG001  every text is neutral
    return Label.NEUTRAL


def of_no_intent(text: str) -> Intent:  # noqa: ARG001  every text is other
    return Intent.OTHER


class ScriptedEngine:
    """An `Engine` that follows a script. Tokens are words or single Chinese characters.

    `prompts`, `temperatures`, `users`, `first_token_prompts`, `first_token_users` and `forgotten` record the calls.
    `open_streams` counts the replies being read now, `finished` those read to their end. While `available` is False,
    every call raises EngineUnavailable. If `can_forget` is False, it is like a server without /forget. Its server
    has `own_metrics`.
    """

    def __init__(
        self, script: Script, *, mood: MoodOf = neutral, intent: IntentOf = of_no_intent, name: str = "scripted"
    ) -> None:
        self.script = script
        self.mood = mood
        self.intent = intent
        self.name = name
        self.available = True
        self.prompts: list[Prompt] = []
        self.temperatures: list[float | None] = []
        self.users: list[str] = []
        self.first_token_prompts: list[Prompt] = []
        self.first_token_users: list[str] = []
        self.can_forget = True
        self.own_metrics = b""
        self.forgotten: list[str] = []
        self.open_streams = 0
        self.finished = 0

    @classmethod
    def fixed(cls, text: str = SAMPLE, *, mood: MoodOf = neutral) -> Self:
        """Replies with `text` to every prompt."""
        return cls.replying(lambda _: text, mood=mood)

    @classmethod
    def echo(cls, *, mood: MoodOf = neutral) -> Self:
        """Replies with the whole prompt, so that a test sees any text that leaked into it."""
        return cls.replying(lambda prompt: "\n".join(f"{m.role}: {m.content}" for m in prompt), mood=mood)

    @classmethod
    def replying(cls, answer: Callable[[Prompt], str], *, mood: MoodOf = neutral) -> Self:
        """Replies with `answer(prompt)`."""

        async def script(prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
            for token in tokens(answer(prompt)):
                yield token

        return cls(script, mood=mood)

    @classmethod
    def slow(cls, text: str, piece_seconds: float, clock: Clock, *, mood: MoodOf = neutral) -> Self:
        """Takes `piece_seconds` of the clock for each piece."""

        async def script(_prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
            for token in tokens(text):
                await clock.sleep(piece_seconds)
                yield token

        return cls(script, mood=mood)

    @classmethod
    def hanging(cls, after: int = 0, *, text: str = SAMPLE, mood: MoodOf = neutral) -> Self:
        """Hangs for ever after `after` pieces."""

        async def script(_prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
            for token in tokens(text)[:after]:
                yield token
            await asyncio.Event().wait()

        return cls(script, mood=mood)

    @classmethod
    def dying(cls, after: int = 0, *, times: int = 1, text: str = SAMPLE, mood: MoodOf = neutral) -> Self:
        """Raises EngineLost after `after` pieces, for the first `times` replies; later replies are whole."""

        async def script(_prompt: Prompt, call: int) -> AsyncGenerator[str, None]:
            dies = call < times
            for token in tokens(text)[: after if dies else None]:
                yield token
            if dies:
                raise EngineLost("scripted")

        return cls(script, mood=mood)

    @classmethod
    def unavailable(cls) -> Self:
        """Raises EngineUnavailable until `available` is set to True."""
        engine = cls.fixed()
        engine.available = False
        return engine

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        self._check_available()
        call = len(self.prompts)
        self.prompts.append(prompt)
        self.temperatures.append(temperature)
        self.users.append(user)
        self.open_streams += 1
        try:
            async with aclosing(self._pieces(prompt, call, max_tokens)) as pieces:
                yield pieces
        finally:
            self.open_streams -= 1

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        self._check_available()
        self.first_token_prompts.append(prompt)
        self.first_token_users.append(user)
        text = prompt[-1].content
        label = self.mood(text)
        if label is None:
            return {}
        if any(prompt[:-1] == asked.opening for asked in intent_prompts().values()):
            return first_tokens_for(intent_prompts(), self.intent(text))
        return first_tokens_for(mood_prompts(), label)

    async def count_tokens(self, text: str) -> int:
        self._check_available()
        return len(tokens(text))

    async def identity(self) -> str:
        self._check_available()
        return self.name

    async def forget(self, users: Sequence[str]) -> bool:
        self._check_available()
        self.forgotten += users
        return self.can_forget

    async def metrics(self) -> bytes:
        self._check_available()
        return self.own_metrics

    def _check_available(self) -> None:
        if not self.available:
            raise EngineUnavailable("scripted")

    async def _pieces(self, prompt: Prompt, call: int, max_tokens: int) -> AsyncGenerator[Piece, None]:
        written, finish = 0, Finish.STOP
        async with aclosing(self.script(prompt, call)) as script:
            async for token in script:
                if written == max_tokens:
                    finish = Finish.LENGTH
                    break
                written += 1
                yield Piece(text=token)
        read = sum(len(tokens(message.content)) for message in prompt)
        self.finished += 1
        yield Piece(finish=finish, usage=Usage(prompt_tokens=read, completion_tokens=written))


def tokens(text: str) -> list[str]:
    """Cut a text into tokens. Joined, they give the text."""
    return TOKEN.findall(text)


def first_tokens_for(prompts: Mapping[Locale, LabelPrompt[L]], label: L) -> Mapping[bytes, float]:
    """First-token log-probabilities of a model that favours a label, in both languages."""
    words = [(other, own[0]) for asked in prompts.values() for other, own in asked.words.items()]
    return {word.encode(): math.log(0.9 if other is label else 0.05) for other, word in words}
