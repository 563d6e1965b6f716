"""JSON schemas of many kinds, for replies that must follow them."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]


def record(**properties: object) -> Schema:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


TREE: Final[Schema] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": record(
            value={"type": "integer", "minimum": 0, "maximum": 9},
            children={"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
        )
    },
}
SCHEMAS: Final[Mapping[str, Schema]] = {
    "nested objects": record(
        person=record(name={"type": "string", "maxLength": 20}, home=record(city={"type": "string", "maxLength": 10}))
    ),
    "enum": record(mood={"enum": ["positive", "negative", "neutral", None, 3]}),
    "array with bounds": {
        "type": "array",
        "items": {"type": "integer", "minimum": -50, "maximum": 50},
        "minItems": 2,
        "maxItems": 5,
    },
    "pattern": record(
        id={"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}$"}, day={"type": "string", "format": "date"}
    ),
    "range": record(
        share={"type": "number", "minimum": 0, "exclusiveMaximum": 1}, price={"type": "number", "multipleOf": 0.25}
    ),
    "anyOf": {
        "anyOf": [
            record(kind={"const": "text"}, text={"type": "string", "maxLength": 20}),
            record(kind={"const": "count"}, count={"type": "integer", "minimum": 0, "maximum": 999}),
        ]
    },
    "recursion": TREE,
    "Chinese": record(
        城市={"enum": ["北京", "上海", "乌鲁木齐"]}, 天气={"type": "string", "minLength": 1, "maxLength": 8}
    ),
    "optional": {
        "type": "object",
        "properties": {"a": {"type": "boolean"}, "b": {"type": ["string", "null"], "maxLength": 8}},
        "required": ["a"],
        "additionalProperties": False,
    },
    "map": {
        "type": "object",
        "patternProperties": {"^[a-z]{1,6}$": {"type": "integer", "minimum": 0, "maximum": 99}},
        "additionalProperties": False,
        "maxProperties": 3,
    },
}
