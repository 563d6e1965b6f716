r"""ChatML prompts, assembled from token ids, never from strings: no message text can become a control token.

Each message is `<|im_start|>role\ntext<|im_end|>\n`, as in the Qwen family; the prompt ends with the opening of the
reply, `<|im_start|>assistant\n`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import ModelDamaged
from core.inference.tokens.vocabulary import Vocabulary
from core.models import read_json

START, END = "<|im_start|>", "<|im_end|>"
PROBE = "probe"
GENERATION_MARKS = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""Tags with which some templates mark the reply for training. They print nothing, and jinja2 does not know them."""


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """Builds prompts. `start` and `end` are the ids of the control tokens around a message.

    `default_system` is the system message that the model's own template adds if a conversation has none, or None.
    """

    vocabulary: Vocabulary
    start: int
    end: int
    default_system: str | None

    def build(self, conversation: Sequence[ChatMessage]) -> list[int]:
        """The ids of a prompt, with the opening of the reply. Raises ControlToken, see `Vocabulary.encode`."""
        encode = self.vocabulary.encode
        newline = encode("\n")
        ids: list[int] = []
        for message in self._with_system(conversation):
            ids += [self.start, *encode(f"{message.role}\n{message.text}"), self.end, *newline]
        return [*ids, self.start, *encode(f"{Role.ASSISTANT}\n")]

    def shared_prefix(self, conversation: Sequence[ChatMessage], ids: Sequence[int]) -> int:
        """Length of the system message in the prompt's `ids`: the part that prompts of different users share."""
        messages = self._with_system(conversation)
        return ids.index(self.start, 1) if messages and messages[0].role is Role.SYSTEM else 0

    def _with_system(self, conversation: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
        if self.default_system is None or (conversation and conversation[0].role is Role.SYSTEM):
            return conversation
        return [ChatMessage(role=Role.SYSTEM, text=self.default_system), *conversation]


def load_template(folder: Path, vocabulary: Vocabulary) -> ChatTemplate:
    """The template of a model. Raises ModelDamaged if its own template, rendered with one message, is not ChatML."""
    ids = {name: token for token, name in vocabulary.control.items()}
    if START not in ids or END not in ids:
        raise ModelDamaged(
            str(folder / "tokenizer.json"), f"it has no {START} and {END}: only ChatML models are supported"
        )
    default_system = _default_system(folder)
    return ChatTemplate(vocabulary=vocabulary, start=ids[START], end=ids[END], default_system=default_system)


def _default_system(folder: Path) -> str | None:
    """The system message that the model's template adds on its own: Qwen2.5 introduces Qwen, Qwen3 adds none."""
    rendered = _render(folder)
    opening, opened = f"{START}{Role.SYSTEM}\n", f"{END}\n"
    before, found, after = rendered.partition(f"{START}{Role.USER}\n{PROBE}{END}\n{START}{Role.ASSISTANT}\n")
    if found and not before and not after:
        return None
    if found and not after and before.startswith(opening) and before.endswith(opened):
        return before[len(opening) : -len(opened)]
    raise ModelDamaged(str(folder), "its chat template is not ChatML")


def _render(folder: Path) -> str:
    """One user message, rendered by the model's template, or as plain ChatML if the model has none."""
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    source = _source(folder, settings)
    if source is None:
        return f"{START}{Role.USER}\n{PROBE}{END}\n{START}{Role.ASSISTANT}\n"
    special = {name: _text(settings.get(name)) for name in ("bos_token", "eos_token")}
    conversation = [{"role": Role.USER.value, "content": PROBE}]
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    try:
        template = sandbox.from_string(GENERATION_MARKS.sub("", source))
        return template.render(messages=conversation, add_generation_prompt=True, **special)
    except (TemplateError, TypeError, ValueError) as error:
        raise ModelDamaged(str(folder), f"its chat template cannot be rendered ({error})") from error


def _source(folder: Path, settings: Mapping[str, object]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text("utf-8")
    source = settings.get("chat_template")
    return source if isinstance(source, str) else None


def _text(token: object) -> str:
    """The text of a special token in `tokenizer_config.json`, which is a string, an object or null."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""
