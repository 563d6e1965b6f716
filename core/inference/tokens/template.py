"""Chat prompts, assembled from token ids, never from strings: no message text can become a control token.

What stands around the texts is learned from the model's own template (`frames.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache, partial
from itertools import takewhile
from typing import Final, TypeAlias

from core.clock import Clock
from core.errors import ControlToken, ModelDamaged, RolesRefused
from core.inference.tokens.frames import Frames, learn_frames
from core.inference.tokens.rendering import Render, open_template
from core.inference.tokens.vocabulary import Part, Vocabulary

CHATML: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
"""The template of a model that has ChatML's control tokens and no template."""
CHATML_TOKENS: Final = frozenset({"<|im_start|>", "<|im_end|>"})
THINK, END_THINK = "<think>", "</think>"
KEPT_FRAMES = 256
"""Shapes of conversations whose frames are kept: lengths up to 128 turns, with and without a system message."""


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


PROBES: Final = (
    (Role.USER,),
    (Role.SYSTEM, Role.USER),
    (Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT, Role.USER),
)
"""Conversations that every model must be able to hold."""
FramesOf: TypeAlias = Callable[[tuple[Role, ...], date], Frames]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """Builds prompts. `frames_of` learns the frames of a conversation's roles on their first use each day: a template
    may write a message differently by its position, and some write the date.

    `end` is the control token that ends a message of the assistant.
    """

    vocabulary: Vocabulary
    frames_of: FramesOf
    clock: Clock
    end: int

    def build(self, conversation: Sequence[ChatMessage]) -> list[int]:
        """The ids of a prompt, with the opening of the reply.

        Raises ControlToken, see `Vocabulary.encode`, and RolesRefused if the model's template rejects the roles.
        """
        return self.vocabulary.encode_parts(self._around(conversation, len(conversation)))

    def shared_prefix(self, conversation: Sequence[ChatMessage], ids: Sequence[int]) -> int:
        """Length of the part of the prompt's `ids` that prompts of different users share: it ends before the first text
        that is not the system's. The system message may be in the same token run as that text (Gemma).
        """
        roles = [message.role for message in conversation]
        first = next((number for number, role in enumerate(roles) if role is not Role.SYSTEM), len(roles))
        beginning = self.vocabulary.encode_parts(self._around(conversation, first))
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(beginning, ids, strict=False)))

    def _around(self, conversation: Sequence[ChatMessage], count: int) -> list[Part]:
        """The parts of the first `count` messages, up to the next text."""
        frames = self.frames_of(tuple(message.role for message in conversation), _today(self.clock))
        return frames.around([message.text for message in conversation[:count]])


def load_template(source: str | None, special: Mapping[str, str], vocabulary: Vocabulary, clock: Clock) -> ChatTemplate:
    """The chat template with this Jinja source. `special`: texts of special tokens, by names such as "bos_token".

    Raises ModelDamaged if its frames cannot be learned or could be imitated, or if the model thinks before it replies.
    """
    if source is None and not CHATML_TOKENS.issubset(vocabulary.control.values()):
        raise ModelDamaged(vocabulary.path, "the model has no chat template")
    render = open_template(CHATML if source is None else source, special, vocabulary.path)
    frames_of = lru_cache(KEPT_FRAMES)(partial(learn_frames, render, vocabulary))
    today = _today(clock)
    try:
        for roles in PROBES:
            _check(render, vocabulary, frames_of, roles, today)
        after = dict(zip(PROBES[-1], frames_of(PROBES[-1], today).openings[1:], strict=True))
    except (RolesRefused, ControlToken) as error:
        raise ModelDamaged(error.path, error.reason) from error
    end = _first_control(after[Role.ASSISTANT])
    if end is None or _first_control(after[Role.USER]) is None:
        raise ModelDamaged(
            vocabulary.path, "the chat template ends messages in plain text, which a message can imitate"
        )
    return ChatTemplate(vocabulary=vocabulary, frames_of=frames_of, clock=clock, end=end)


def _first_control(parts: Sequence[Part]) -> int | None:
    return next((part for part in parts if isinstance(part, int)), None)


def _today(clock: Clock) -> date:
    """The date in the machine's time zone."""
    return datetime.fromtimestamp(clock.now(), UTC).astimezone().date()


def _check(render: Render, vocabulary: Vocabulary, frames_of: FramesOf, roles: tuple[Role, ...], today: date) -> None:
    """Raises ModelDamaged unless a prompt from frames reads as the template's rendering, and opens no thought."""
    texts = [f"Is this the {role} of turn {number}?" for number, role in enumerate(roles)]
    rendered = render(roles, texts, today)
    ids = vocabulary.encode_parts(frames_of(roles, today).around(texts))
    if b"".join(map(vocabulary.bytes_of, ids)) != rendered.encode():
        raise ModelDamaged(vocabulary.path, "the chat template and the tokenizer do not give the same text")
    if rendered.rfind(THINK) > rendered.rfind(END_THINK):
        raise ModelDamaged(vocabulary.path, "the model thinks before each reply, which its template cannot switch off")
