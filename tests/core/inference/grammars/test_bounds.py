"""What is refused before a schema is compiled."""

import json
from typing import Any

import pytest

from core.inference.grammars.bounds import MAX_BYTES, MAX_DEPTH, SchemaRefused, checked, shortened


def nested(levels: int) -> dict[str, Any]:
    """A schema of this many levels of objects."""
    return {"items": nested(levels - 1)} if levels > 1 else {}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (nested(MAX_DEPTH + 1), "nested"),
        ({"enum": ["x" * MAX_BYTES]}, "longer"),
        ({"enum": ["好" * (MAX_BYTES // 2)]}, "longer"),
        ({"minimum": float("inf")}, "finite"),
        ({"multipleOf": 99991}, "multipleOf"),
        ({"properties": {"a": {"items": [{"multipleOf": 1.2345}]}}}, "multipleOf"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "$ref"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "$ref"),
        ({"$id": "https://a.example/x", "allOf": [{"$ref": "other.json#/a"}]}, "$ref"),
    ],
)
def test_schemas_over_a_bound_are_refused(schema: dict[str, Any], reason: str) -> None:
    """A schema that is too deep or too long, divides by long numbers, or refers to another document, is refused."""
    with pytest.raises(SchemaRefused) as refused:
        checked(schema)
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    "schema",
    [
        nested(MAX_DEPTH),
        {"multipleOf": 1000},
        {"multipleOf": 0.05},
        {"$ref": "#/$defs/a", "$defs": {"a": {}}},
        {"properties": {"$ref": {"type": "string"}, "multipleOf": {"type": "integer"}}},
    ],
)
def test_schemas_within_the_bounds_are_kept(schema: dict[str, Any]) -> None:
    """A schema at the bounds, and properties whose names are keywords, are kept as they are."""
    assert json.loads(checked(schema)) == schema


def test_options_of_the_compiler_are_left_out() -> None:
    """A client cannot choose how the compiler works."""
    assert json.loads(checked({"type": "object", "x-guidance": {"lenient": True}})) == {"type": "object"}


def test_reasons_are_one_short_line() -> None:
    """Of a message of many lines, the line that names the error is told, or else the first, shortened."""
    message = "regex parse error:\n    ^(?!a)b\n     ^^^\nerror: look-around is not supported"
    assert shortened(message) == "error: look-around is not supported"
    assert shortened("panic: index 3\n<backtrace>\n1: main") == "panic: index 3"
    assert len(shortened("x" * 10_000)) < 300
    assert shortened("")
