"""`python -m core.inference.grammars.trial`: compile the JSON schema on standard input; print the reason if it fails.

llguidance does not limit all of its work: forty bytes of schema can take minutes, and others overflow the stack. In a
process of its own, with limits, that ends in a refusal.
"""

import sys
from typing import Final

from llguidance import LLMatcher, LLTokenizer

from core.confinement import confine
from core.inference.grammars.bounds import SchemaRefused, shortened
from core.inference.grammars.compiler import compile_schema

NICENESS: Final = 5
"""The model goes first, but the request is waiting too."""
CPU_SECONDS: Final = 1
MEMORY_BYTES: Final = 1 << 30
STACK_BYTES: Final = 4 << 20
"""Half of what a thread of the server has: what passes here does not overflow there."""
STEPS: Final = 64
"""Bytes of a text that are tried, since some limits show only then."""


def main() -> None:
    confine(niceness=NICENESS, cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES, stack_bytes=STACK_BYTES)
    sys.stdout.write(_reason(sys.stdin.buffer.read().decode()))


def _reason(schema: str) -> str:
    """Why the schema is refused; empty if it is not."""
    try:
        matcher = compile_schema(schema, LLTokenizer("byte"))
    except SchemaRefused as refused:
        return refused.reason
    for _ in range(STEPS):
        if not _step(matcher):
            break
    return shortened(matcher.get_error()) if matcher.is_error() else ""


def _step(matcher: LLMatcher) -> bool:
    """Take the lowest byte that may come next; False if none may."""
    allowed = int.from_bytes(matcher.compute_bitmask(), "little")
    lowest = (allowed & -allowed).bit_length() - 1
    return not matcher.is_stopped() and matcher.consume_token(lowest)


if __name__ == "__main__":
    main()
