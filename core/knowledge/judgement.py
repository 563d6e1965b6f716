"""How passages are ranked, and how far the best one is trusted: two linear models of the features of the index.

`python -m training.knowledge --fit` fits the weights, on corpora other than those that it is measured on.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from core.knowledge.lexicon import Floats
from core.knowledge.passages import Thresholds

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Weights of the features. `trust` has three more: of the lead over the next entry's rank, of the question's
    usualness, and the bias.
    """

    rank: tuple[float, ...]
    trust: tuple[float, ...]
    thresholds: Thresholds

    def ranks(self, features: Floats) -> Numbers:
        """A number for each row; the higher, the better the passage fits."""
        ranks: Numbers = features @ np.array(self.rank)
        return ranks

    def trusted(self, features: Floats, leads: Numbers, usualness: float) -> Numbers:
        """The probability that each row's passage answers. `leads` are their `lead`s."""
        logits = evidence(features, leads, usualness) @ np.array(self.trust)
        trusted: Numbers = 1 / (1 + np.exp(-logits))
        return trusted


def evidence(features: Floats, leads: Numbers, usualness: float) -> Numbers:
    """The columns that `Judge.trust` weighs."""
    ones = np.ones(len(features))
    return np.column_stack([features, np.clip(leads, -MOST_LEAD, MOST_LEAD), usualness * ones, ones])


MOST_LEAD = 5.0
"""A lead over the next entry above this says no more."""


@cache
def judges() -> Mapping[str, Judge]:
    """The fitted judges: "answers" and "documents", and both with "_by_meaning" if there is an embedder."""
    tables = tomllib.loads(resources.files("core.knowledge").joinpath("weights.toml").read_text("utf-8"))
    return {
        name: Judge(
            rank=tuple(table["rank"]),
            trust=tuple(table["trust"]),
            thresholds=Thresholds(answer=table["answer"], ground=table["ground"], suggest=table["suggest"]),
        )
        for name, table in tables.items()
    }


def judge_for(*, is_answer: bool, by_meaning: bool) -> Judge:
    """The judge of one kind of passages."""
    return judges()[("answers" if is_answer else "documents") + ("_by_meaning" if by_meaning else "")]
