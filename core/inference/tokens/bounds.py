"""Bounds of a template's work. It comes with a model's files, so it may loop or grow without end."""

import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from jinja2 import TemplateError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_SOURCE: Final = 256 << 10
"""Characters of a template; the longest in use has some 20,000."""
MAX_OUTPUT: Final = 4 << 20
"""Characters that one rendering may write, and the length of a text or list that it may multiply."""
MAX_STEPS: Final = 1_000_000
"""Lines of Python that one rendering may run. A conversation of 100 messages takes some 10,000."""
MAX_CPU_SECONDS: Final = 5.0
WIDE_FORMAT: Final = re.compile(r"\d{4}|\*")
"""Part of a format that pads beyond 999 characters."""


class Overrun(TemplateError):
    """The template exceeds a bound."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without operations whose result is far larger than their operands."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  Jinja's values
        if operator == "**" or (_is_wide(left) if operator == "%" else _size(left) * _size(right) > MAX_OUTPUT):
            raise Overrun(f"the template computes too large a value ({operator})")
        return super().call_binop(context, operator, left, right)


def joined(pieces: Iterable[str]) -> str:
    """The pieces as one text. Raises Overrun if it is too long."""
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_OUTPUT:
            raise Overrun("the template writes too much")
        kept.append(piece)
    return "".join(kept)


@contextmanager
def bounded(max_steps: int = MAX_STEPS, max_cpu_seconds: float = MAX_CPU_SECONDS) -> Iterator[None]:
    """Raise Overrun once the functions called in this context have run too many lines, or for too long on the CPU.

    One line can take long if it makes a large text; the process's memory bounds that.
    """
    steps, end = 0, time.thread_time() + max_cpu_seconds

    def count(_: FrameType, __: str, ___: object) -> Any:  # noqa: ANN401  itself
        nonlocal steps
        steps += 1
        if steps > max_steps or time.thread_time() > end:
            raise Overrun("the template runs too long")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


def _is_wide(left: object) -> bool:
    return isinstance(left, str) and bool(WIDE_FORMAT.search(left))


def _size(value: object) -> int:
    """How much an operand contributes to a product: a text or list its length, an integer itself."""
    if isinstance(value, int):
        return abs(value)
    return max(len(value), 1) if isinstance(value, str | list | tuple) else 1
