"""Seeded replies to schemas of many kinds, of the embedded model, or of the folder or file that MODEL names:

MODEL=PATH make test-long ARGS=tests/core/inference/grammars
"""

import json
import os

import pytest
from jsonschema import Draft202012Validator

from core.errors import ModelMissing
from core.inference.batching.sequence import Sampling, Sequence
from core.inference.grammars.schemas import Schemas
from core.inference.loader import LoadedModel, load_model
from core.inference.tokens.template import ChatMessage, Role
from core.models import EMBEDDED
from tests.core.inference.grammars.schemas import SCHEMAS
from tests.core.inference.options import load_options
from tests.core.inference.rows import Rig, sequence


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    try:
        return load_model(os.environ.get("MODEL", EMBEDDED), tmp_path_factory.mktemp("data"), load_options())
    except ModelMissing:
        pytest.skip("the embedded model is not part of this checkout")


def text_of(each: Sequence, model: LoadedModel) -> str:
    written = each.ids[len(each.job.prompt) :]
    return b"".join(model.vocabulary.bytes_of(token) for token in written if token not in model.eos_ids).decode()


@pytest.mark.parametrize("seeds", [2, pytest.param(10, marks=pytest.mark.long)])
def test_replies_that_end_are_valid(model: LoadedModel, seeds: int) -> None:
    """Of replies at temperature 1 to ten schemas, every one that ends by "stop" is JSON of its schema, and most do."""
    schemas = Schemas(model.vocabulary, model.eos_ids)
    prompt = model.template.build([ChatMessage(role=Role.USER, text="Tell me something as JSON.")])
    ended = 0
    for schema in SCHEMAS.values():
        replies = [
            sequence(
                prompt, Sampling(temperature=1.0), seed=seed, constraint=schemas.constraint(schema), max_tokens=120
            )
            for seed in range(seeds)
        ]
        Rig(model).run(*replies)
        for reply in (each for each in replies if each.finish == "stop"):
            Draft202012Validator(schema).validate(json.loads(text_of(reply, model)))
            ended += 1
    assert ended > 0.8 * seeds * len(SCHEMAS)
