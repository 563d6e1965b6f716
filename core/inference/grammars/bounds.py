"""Bounds of a JSON schema, checked before anything is compiled from it: it comes from a client."""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

MAX_BYTES: Final = 64 << 10
MAX_DEPTH: Final = 64
"""Levels of objects and arrays; a schema within a schema takes two or three."""
MAX_MULTIPLE_DIGITS: Final = 4
"""Significant digits of `multipleOf`: the automaton has a state for each remainder."""
REASON_LENGTH: Final = 200
COMPILER_OPTIONS: Final = "x-guidance"
"""Keyword with which a schema would set the compiler's options."""


class SchemaRefused(Exception):
    """No constraint can be made of the schema. `reason` says why, in a line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def checked(schema: Mapping[str, object]) -> str:
    """The schema as JSON, without options for the compiler. Raises SchemaRefused if it exceeds a bound."""
    for depth, level in enumerate(_levels(schema), 1):
        if depth > MAX_DEPTH:
            raise SchemaRefused(f"it is nested in more than {MAX_DEPTH} levels")
        for value in level:
            if isinstance(value, dict):
                _check_keywords(value)
    try:
        kept = {key: value for key, value in schema.items() if key != COMPILER_OPTIONS}
        text = json.dumps(kept, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise SchemaRefused("it holds a number that is not finite") from error
    if len(text.encode()) > MAX_BYTES:
        raise SchemaRefused(f"it is longer than {MAX_BYTES} bytes")
    return text


def shortened(reason: str) -> str:
    """The line of the compiler's message that says most, without its traces."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()] or ["it cannot be compiled"]
    told = next((line for line in lines if line.startswith("error: ")), lines[0])
    return told if len(told) <= REASON_LENGTH else f"{told[:REASON_LENGTH]}…"


def _levels(schema: Mapping[str, object]) -> Iterator[list[object]]:
    """The values of each level of nesting that are objects or arrays, the schema itself first."""
    level: list[object] = [schema]
    while level:
        yield level
        level = [child for value in level for child in _children(value) if isinstance(child, dict | list)]


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_keywords(schema: Mapping[str, object]) -> None:
    reference, multiple = schema.get("$ref"), schema.get("multipleOf")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise SchemaRefused("$ref may only point into the schema itself: #/…")
    if isinstance(multiple, int | float) and len(_digits(multiple)) > MAX_MULTIPLE_DIGITS:
        raise SchemaRefused(f"multipleOf may have {MAX_MULTIPLE_DIGITS} significant digits")


def _digits(number: float) -> tuple[int, ...]:
    return Decimal(str(number)).normalize().as_tuple().digits
