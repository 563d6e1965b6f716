"""Prompts: for a reply, with persona, history, the message and a hint at its mood; and for one text, by examples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from core.messages import Exchange, Label, Locale, Mood


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of a prompt, as in OpenAI chat completions."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt: TypeAlias = tuple[ChatMessage, ...]

HINTS: Mapping[Locale, Mapping[Label, str]] = {
    "en": {
        Label.POSITIVE: "What a happy day!",
        Label.NEGATIVE: "I feel bad about it.",
    },
    "zh": {
        Label.POSITIVE: "我好开心！",
        Label.NEGATIVE: "我现在很难过。",
    },
}
"""A last line of the message, in the person's own voice. The model answers it as it answers the message. An instruction
about the person would be repeated to them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """The bot's character: a system prompt for each language. Its text counts as public."""

    name: str
    system: Mapping[Locale, str]


def chat_prompt(
    persona: Persona,
    language: Locale,
    history: Sequence[Exchange],
    text: str,
    mood: Mood | None = None,
) -> Prompt:
    """The prompt for one reply to `text` in a language.

    The hint at the mood comes last and is not part of the history, so that everything before it is the same in the next
    turn and hits the engine's prefix cache. The hint is part of the user message, because many chat templates reject a
    second system message or two user messages in a row.
    """
    messages = [ChatMessage(role="system", content=persona.system[language])]
    for exchange in history:
        messages.append(ChatMessage(role="user", content=exchange.question))
        messages.append(ChatMessage(role="assistant", content=exchange.answer))
    messages.append(ChatMessage(role="user", content=text + _hint(language, mood)))
    return tuple(messages)


def by_examples(system: str, examples: Iterable[tuple[str, str]]) -> Prompt:
    """An instruction, and examples of messages and replies as earlier turns: all of an isolated prompt but the text."""
    messages = [ChatMessage(role="system", content=system)]
    for text, reply in examples:
        messages.append(ChatMessage(role="user", content=text))
        messages.append(ChatMessage(role="assistant", content=reply))
    return tuple(messages)


def _hint(language: Locale, mood: Mood | None) -> str:
    if mood is None or mood.label is Label.NEUTRAL:
        return ""
    return "\n" + HINTS[language][mood.label]
