r"""Chat prompts assembled from ids, never from strings: no text can become the beginning or end of a message.

The format is ChatML, as the Qwen family has it: `<|im_start|>role\n text <|im_end|>\n`, then the opening
of a reply.
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
"""What some templates mark a reply with, for training; it prints nothing."""


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """Builds prompts. `system` is what the model's own template says for a conversation without a system message."""

    vocabulary: Vocabulary
    start: int
    end: int
    system: str | None

    def build(self, conversation: Sequence[Said]) -> list[int]:
        """The ids of a conversation, up to where the reply begins. Every text goes through `Vocabulary.encode`."""
        encode = self.vocabulary.encode
        newline = encode("\n")
        ids: list[int] = []
        for message in self._with_system(conversation):
            ids += [self.start, *encode(f"{message.role}\n{message.text}"), self.end, *newline]
        return [*ids, self.start, *encode(f"{Role.ASSISTANT}\n")]

    def common(self, conversation: Sequence[Said], ids: Sequence[int]) -> int:
        """How many of the `ids` that were built are nobody's own words: the system message they begin with."""
        said = self._with_system(conversation)
        return ids.index(self.start, 1) if said and said[0].role is Role.SYSTEM else 0

    def _with_system(self, conversation: Sequence[Said]) -> Sequence[Said]:
        if self.system is None or (conversation and conversation[0].role is Role.SYSTEM):
            return conversation
        return [Said(role=Role.SYSTEM, text=self.system), *conversation]


def load_template(folder: Path, vocabulary: Vocabulary) -> ChatTemplate:
    """The template of a model. ModelDamaged where its own template, tried on one message, is not ChatML."""
    ids = {name: token for token, name in vocabulary.control.items()}
    if START not in ids or END not in ids:
        raise ModelDamaged(
            str(folder / "tokenizer.json"), f"it has no {START} and {END}: only ChatML models are served"
        )
    return ChatTemplate(vocabulary=vocabulary, start=ids[START], end=ids[END], system=_default_system(folder))


def _default_system(folder: Path) -> str | None:
    """What stands before the first message when a conversation has no system message.

    Told by the template itself: Qwen2.5 introduces Qwen here, Qwen3 says nothing.
    """
    rendered = _render(folder)
    opening, opened = f"{START}{Role.SYSTEM}\n", f"{END}\n"
    before, found, after = rendered.partition(f"{START}{Role.USER}\n{PROBE}{END}\n{START}{Role.ASSISTANT}\n")
    if found and not before and not after:
        return None
    if found and not after and before.startswith(opening) and before.endswith(opened):
        return before[len(opening) : -len(opened)]
    raise ModelDamaged(str(folder), "its chat template is not ChatML")


def _render(folder: Path) -> str:
    """The model's template applied to one message of a user; the bare ChatML of it where the model has none."""
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
        raise ModelDamaged(str(folder), f"its chat template fails ({error})") from error


def _source(folder: Path, settings: Mapping[str, object]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text("utf-8")
    source = settings.get("chat_template")
    return source if isinstance(source, str) else None


def _text(token: object) -> str:
    """A special token as `tokenizer_config.json` writes it: a string, an object, or null."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""
