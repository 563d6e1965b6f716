"""A model's own chat template, run in a sandbox: roles and texts become one string."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NoReturn, TypeAlias

from jinja2 import TemplateError
from jinja2.ext import loopcontrols

from core.errors import ModelDamaged, RolesRefused
from core.inference.tokens.bounds import MAX_SOURCE, Sandbox, bounded, joined

Render: TypeAlias = Callable[[Sequence[str], Sequence[str], date], str]
"""Renders roles, as many texts, and the date of today. Raises RolesRefused if the template rejects these roles."""

GENERATION_MARKS = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""Tags with which some templates mark the reply for training. They print nothing, and jinja2 does not know them."""
OPTIONS: Mapping[str, object] = {
    "add_generation_prompt": True,
    "tools": None,
    "documents": None,
    "enable_thinking": False,
    "thinking": False,
}
"""What transformers passes to a template, and the names under which families switch thinking off."""
COMPILE_ERRORS = (TemplateError, RecursionError, MemoryError, SyntaxError, ValueError)
RENDER_ERRORS = (
    *(TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, MemoryError),
)
"""Exceptions of a template that does not expect these messages, or that exceeds a bound."""


def open_template(source: str, special: Mapping[str, str], path: str) -> Render:
    """Compile a template. `special`: texts of special tokens by their names in `tokenizer_config.json`.

    Raises ModelDamaged if it is not a template.
    """
    if len(source) > MAX_SOURCE:
        raise ModelDamaged(path, f"the chat template is longer than {MAX_SOURCE} characters")
    sandbox = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    try:
        template = sandbox.from_string(GENERATION_MARKS.sub("", source), {"raise_exception": _raise_exception})
    except COMPILE_ERRORS as error:
        raise ModelDamaged(path, f"the chat template is not valid ({error})") from error

    def render(roles: Sequence[str], texts: Sequence[str], today: date) -> str:
        messages = [{"role": str(role), "content": text} for role, text in zip(roles, texts, strict=True)]
        try:
            with bounded():
                return joined(template.generate(messages=messages, strftime_now=today.strftime, **OPTIONS, **special))
        except RENDER_ERRORS as error:
            raise RolesRefused(path, f"the chat template rejects {_listed(roles)} ({error})") from error

    return render


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _listed(roles: Sequence[str]) -> str:
    return ", ".join(roles) or "an empty conversation"
