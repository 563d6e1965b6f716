"""Constraints from the JSON schemas of requests. Nothing is imported or built before the first one comes."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Final

from core.inference.batching.constraint import Constraint
from core.inference.grammars.bounds import SchemaRefused, checked
from core.inference.tokens.vocabulary import Vocabulary

TRIAL: Final = (sys.executable, "-P", "-m", "core.inference.grammars.trial")
TRIAL_SECONDS: Final = 30
"""It is limited to a second on the CPU, but may have to wait for one."""
TOO_MUCH: Final = "to compile it takes too much work"
KEPT_TRIALS: Final = 64
"""Schemas whose trial is not repeated; a client sends the same few again and again."""


class Schemas:
    """Compiles schemas for one model. Used by one thread at a time."""

    def __init__(self, vocabulary: Vocabulary, eos_ids: frozenset[int]) -> None:
        self._vocabulary = vocabulary
        self._eos_ids = eos_ids
        self._reason = lru_cache(KEPT_TRIALS)(_try)

    def constraint(self, schema: Mapping[str, object]) -> Constraint:
        """A constraint to JSON texts of this schema. Raises SchemaRefused."""
        text = checked(schema)
        if reason := self._reason(text):
            raise SchemaRefused(reason)
        return self._compile(text)

    @cached_property
    def _compile(self) -> Callable[[str], Constraint]:
        from core.inference.grammars.constraint import open_compiler  # noqa: PLC0415  most servers never need it

        return open_compiler(self._vocabulary, self._eos_ids)


def _try(schema: str) -> str:
    """Why a process of its own refuses the schema; empty if it does not. Raises SchemaRefused if it did not finish."""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(  # noqa: S603  our own program, without a shell
            TRIAL, input=schema.encode(), env=environment, capture_output=True, timeout=TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SchemaRefused(TOO_MUCH) from error
    return done.stdout.decode() if done.returncode == 0 else TOO_MUCH
