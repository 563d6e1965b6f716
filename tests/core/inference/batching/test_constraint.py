"""Constrained rows in a batch: neighbours, speculation and faults."""

import json

import pytest

from core.inference.arrays import Floats
from core.inference.batching.constraint import ConstraintFailed
from core.inference.batching.sequence import Fault, Output, Sampling, Sequence
from core.inference.grammars.schemas import Schemas
from core.inference.loader import LoadedModel
from tests.core.inference.grammars.schemas import SCHEMAS
from tests.core.inference.options import batch_limits
from tests.core.inference.rows import Rig, sequence

PROMPT = "the cat sat on the mat"
SAMPLING = Sampling(temperature=1.0)


@pytest.fixture(scope="module")
def schemas(tiny: LoadedModel) -> Schemas:
    return Schemas(tiny.vocabulary, tiny.eos_ids)


@pytest.fixture(params=["lean", "transformers"])
def model(request: pytest.FixtureRequest, tiny: LoadedModel, tiny_generic: LoadedModel) -> LoadedModel:
    return tiny if request.param == "lean" else tiny_generic


def text_of(each: Sequence, model: LoadedModel) -> str:
    written = each.ids[len(each.job.prompt) :]
    return b"".join(model.vocabulary.bytes_of(token) for token in written if token not in model.eos_ids).decode()


@pytest.mark.parametrize("sampling", [Sampling(), SAMPLING])
def test_a_constrained_neighbour_changes_no_reply(model: LoadedModel, schemas: Schemas, sampling: Sampling) -> None:
    """An unconstrained reply is the same alone and beside a constrained one, and so is the constrained one."""
    prompt = model.vocabulary.encode(PROMPT)

    def constrained() -> Sequence:
        return sequence(prompt, sampling, constraint=schemas.constraint(SCHEMAS["enum"]), max_tokens=60)

    alone, alone_constrained = sequence(prompt, sampling), constrained()
    beside, beside_constrained = sequence(prompt, sampling), constrained()
    Rig(model).run(alone)
    Rig(model).run(alone_constrained)
    Rig(model).run(beside, beside_constrained)
    assert beside.ids == alone.ids
    assert beside_constrained.ids == alone_constrained.ids
    assert beside_constrained.ids != beside.ids


@pytest.mark.parametrize("sampling", [Sampling(), SAMPLING])
def test_speculation_changes_no_constrained_reply(tiny: LoadedModel, schemas: Schemas, sampling: Sampling) -> None:
    """A constrained reply is the same with speculative tokens, some of which are accepted, and follows its schema."""
    schema = {"type": "array", "items": {"const": "aaaaaa"}, "minItems": 6, "maxItems": 6}
    prompt = tiny.vocabulary.encode('["aaaaaa","aaaaaa"] ' * 3)

    def constrained() -> Sequence:
        return sequence(prompt, sampling, constraint=schemas.constraint(schema), max_tokens=190)

    expected, found = constrained(), constrained()
    plain, speculating = Rig(tiny, batch_limits()), Rig(tiny, batch_limits(max_speculative_step=8))
    plain.run(expected)
    speculating.run(found)
    assert found.ids == expected.ids
    assert json.loads(text_of(found, tiny)) == ["aaaaaa"] * 6
    text = speculating.loop.metrics.text().decode()
    assert float(text.partition('parley_tokens_total{kind="guessed"} ')[2].partition("\n")[0]) > 0


class Failing:
    """Fails at the given number of tokens."""

    def __init__(self, after: int) -> None:
        self._left = after

    def restrict(self, logits: Floats) -> None:
        if not self._left:
            raise ConstraintFailed

    def advance(self, token: int) -> None:
        self._left -= 1


def test_a_constraint_that_fails_ends_its_row_alone(model: LoadedModel) -> None:
    """A row whose constraint fails ends with a fault; its neighbour gets the reply that it gets alone."""
    prompt = model.vocabulary.encode(PROMPT)
    alone, beside, failing = sequence(prompt), sequence(prompt), sequence(prompt, constraint=Failing(5))
    Rig(model).run(alone)
    rig, outputs = Rig(model), list[Output | Fault]()
    rig.submit(beside)
    assert rig.loop.submit(failing, outputs.append)
    rig.run()
    assert beside.ids == alone.ids
    assert outputs[-1] == "constraint_failed"
    assert len(outputs) == 6
    assert rig.loop.load == (0, 0)
