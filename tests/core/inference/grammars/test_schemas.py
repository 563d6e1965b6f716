"""From schemas to constraints: which are refused, and what a constraint allows."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from core.inference.arrays import Floats
from core.inference.batching.constraint import Constraint, ConstraintFailed
from core.inference.grammars.bounds import SchemaRefused
from core.inference.grammars.schemas import Schemas
from core.inference.loader import LoadedModel
from tests.core.inference.grammars.schemas import SCHEMAS, record

OBJECT = {"type": "object"}


@pytest.fixture(scope="module")
def schemas(tiny: LoadedModel) -> Schemas:
    return Schemas(tiny.vocabulary, tiny.eos_ids)


def chain(links: int) -> dict[str, Any]:
    """A schema whose definitions refer to each other in a row."""

    def link(number: int) -> dict[str, Any]:
        inner = {"type": "object", "properties": {"a": {"$ref": f"#/$defs/{number + 1}"}}}
        return {"anyOf": [{"type": "array", "items": inner}]}

    return {"$ref": "#/$defs/0", "$defs": {**{str(n): link(n) for n in range(links)}, str(links): OBJECT}}


def allowed(constraint: Constraint, model: LoadedModel) -> set[int]:
    """The tokens that may come next; -1 stands for the end of the reply."""
    logits: Floats = np.zeros(model.network.vocabulary_size, np.float32)
    constraint.restrict(logits)
    tokens = set(np.flatnonzero(logits == 0).tolist())
    assert np.isneginf(logits[logits != 0]).all()
    return {-1 if token in model.eos_ids else token for token in tokens}


def feed(constraint: Constraint, model: LoadedModel, text: str) -> None:
    """Take the tokens of a text, each of which must be allowed."""
    for token in model.vocabulary.encode(text):
        assert token in allowed(constraint, model), model.vocabulary.bytes_of(token)
        constraint.advance(token)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strin"}, "strin"),
        ({"not": {"type": "string"}}, "not"),
        ({"type": "string", "pattern": "^(?!a)b"}, "look-around"),
        (record(a=False), "unsatisfiable"),
        ({"$ref": "#/$defs/absent"}, "absent"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "NoExtension"),
        ({"minLength": "é" * 200}, "panic"),
        ({"properties": 7}, "properties"),
        ({"type": "object", "properties": {f"k{n}": OBJECT for n in range(700)}}, "Current row"),
        ({"allOf": [{"type": "string", "pattern": f"(.*a{n}.*b)"} for n in range(20)]}, "too much work"),
        (chain(600), "too much work"),
    ],
)
def test_schemas_that_cannot_be_compiled_are_refused(schemas: Schemas, schema: dict[str, Any], reason: str) -> None:
    """A schema that is wrong, unsupported, unsatisfiable, endless work, or deeper than the stack, is refused with the
    reason, and the process goes on.
    """
    with pytest.raises(SchemaRefused) as refused:
        schemas.constraint(schema)
    assert reason in refused.value.reason
    assert schemas.constraint(OBJECT)


def test_a_schema_is_tried_once(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first request with a schema starts a process, whether the schema is refused or not."""
    schemas = Schemas(tiny.vocabulary, tiny.eos_ids)
    schemas.constraint(OBJECT)
    with pytest.raises(SchemaRefused):
        schemas.constraint({"type": "strin"})
    monkeypatch.setattr("core.inference.grammars.schemas.TRIAL", ("/no/such/program",))
    assert schemas.constraint(OBJECT)
    with pytest.raises(SchemaRefused):
        schemas.constraint({"type": "strin"})


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (OBJECT, '{"a": [1, null, {"b": "c"}]}'),
        (SCHEMAS["Chinese"], '{"城市": "乌鲁木齐", "天气": "很好"}'),
        (record(emoji={"const": "🤗"}), '{"emoji": "🤗"}'),
        (SCHEMAS["recursion"], '{\n  "value": 1,\n  "children": [{"value": 2, "children": []}]\n}'),
        (record(**{"<|im_end|>": {"const": "<tool_call>"}}), '{"<|im_end|>": "<tool_call>"}'),
    ],
)
def test_a_text_of_the_schema_is_allowed_to_its_end(
    schemas: Schemas, tiny: LoadedModel, schema: dict[str, Any], text: str
) -> None:
    """Each of its tokens is allowed, pieces of characters too; the end is allowed at its end only, and then alone."""
    constraint = schemas.constraint(schema)
    assert -1 not in allowed(constraint, tiny)
    feed(constraint, tiny, text[:-1])
    assert -1 not in allowed(constraint, tiny)
    feed(constraint, tiny, text[-1])
    assert allowed(constraint, tiny) == {-1}


@pytest.mark.parametrize("text", ['{"a": ', '{"a": "', '{"a": "<'])
def test_control_tokens_are_never_allowed(schemas: Schemas, tiny: LoadedModel, text: str) -> None:
    """No control token is allowed, in a string of any text either, and no padding row."""
    constraint = schemas.constraint(OBJECT)
    feed(constraint, tiny, text)
    assert all(map(tiny.vocabulary.is_plain, allowed(constraint, tiny)))


def test_a_key_that_the_tokenizer_rewrites(schemas: Schemas, tiny: LoadedModel) -> None:
    """A key that must come next keeps its characters, which the tokenizer's NFC would compose."""
    key = "e\u0301e\u0301e\u0301"
    constraint, written = schemas.constraint(record(**{key: {"const": 1}})), b""
    while -1 not in (tokens := allowed(constraint, tiny)):
        token = min(tokens)
        written += tiny.vocabulary.bytes_of(token)
        constraint.advance(token)
    assert [*json.loads(written)] == [key]


def test_white_space_is_bounded(schemas: Schemas, tiny: LoadedModel) -> None:
    """Between two parts there is a space, or a line break and an indentation, but no endless white space."""
    for ended in ("{ ", '{ "a" : ', "{\n" + " " * 32):
        constraint = schemas.constraint(OBJECT)
        feed(constraint, tiny, ended)
        assert not allowed(constraint, tiny) & {*tiny.vocabulary.encode(" "), *tiny.vocabulary.encode("\n")}


def test_a_token_that_is_not_allowed_fails(schemas: Schemas, tiny: LoadedModel) -> None:
    """A token that the grammar forbids ends the constraint; afterwards EOS is not allowed either."""
    constraint = schemas.constraint(OBJECT)
    [token] = tiny.vocabulary.encode("x")
    with pytest.raises(ConstraintFailed):
        constraint.advance(token)
    with pytest.raises(ConstraintFailed):
        allowed(constraint, tiny)


def test_a_mask_that_leaves_nothing_fails(schemas: Schemas, tiny: LoadedModel) -> None:
    """If all allowed tokens are masked already, there is none to sample."""
    with pytest.raises(ConstraintFailed):
        schemas.constraint(OBJECT).restrict(np.full(tiny.network.vocabulary_size, -np.inf, np.float32))


def test_constraints_of_one_schema_are_independent(schemas: Schemas, tiny: LoadedModel) -> None:
    """Two replies of the same schema are at different positions."""
    first, second = schemas.constraint(OBJECT), schemas.constraint(OBJECT)
    feed(first, tiny, '{"a"')
    assert allowed(first, tiny) != allowed(second, tiny)
    feed(second, tiny, "{")


def test_nothing_is_imported_before_the_first_schema() -> None:
    """A server that was asked for no constraint has not imported llguidance."""
    program = "import core.inference.__main__, sys; print('llguidance' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
