"""Fits the projection of the encoder's vectors: what is asked comes near what answers it, on businesses' questions."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.knowledge.index import body
from core.knowledge.lexicon import Floats
from core.knowledge.meaning import Projection
from training.faqs import Faq

DIMENSIONS = 256
EPOCHS = 6
DROPOUT = 0.3
"""Share of the encoder's numbers that a step does not see."""
STAY = 1e-2
"""Weight of the squared distance from the principal components, at which the matrix begins."""
LEFT_OUT = 0.1
"""Share of the entries that every second step takes away, so that usual questions remain without an answer too."""
RATES = {"scales": 5e-2, "matrix": 1e-3, "usual": 5e-2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A business: vectors of its wordings, bodies and questions. `owners` are the entries of the wordings, and `right`
    those of the questions, or their number if there is no answer.
    """

    wordings: torch.Tensor
    owners: torch.Tensor
    bodies: torch.Tensor
    questions: torch.Tensor
    right: torch.Tensor

    @property
    def size(self) -> int:
        return len(self.bodies)


def task(faq: Faq, encode: Callable[[Sequence[str]], Floats]) -> Task:
    wordings = [(row, text) for row, passage in enumerate(faq.passages) for text in passage.wordings]
    rows = [faq.row(one) for one in faq.asked]
    return Task(
        wordings=torch.tensor(encode([text for _, text in wordings])),
        owners=torch.tensor([row for row, _ in wordings]),
        bodies=torch.tensor(encode([body(passage) for passage in faq.passages])),
        questions=torch.tensor(encode([one.text for one in faq.asked])),
        right=torch.tensor([len(faq.passages) if row is None else row for row in rows]),
    )


class Likeness(nn.Module):
    """Scores of the entries for each question, and of "none of them": what the projection is fitted with."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        texts = torch.cat([torch.cat([one.wordings, one.bodies, one.questions]) for one in tasks])
        self.mean = texts.mean(0)
        _, _, components = torch.pca_lowrank(texts - self.mean, q=DIMENSIONS, niter=4)
        self.start = components
        self.matrix = nn.Parameter(components.clone())
        self.usual = nn.Parameter(torch.zeros(DIMENSIONS))
        self.scales = nn.Parameter(torch.tensor([8.0, 8.0, 3.0]))

    def forward(self, one: Task) -> torch.Tensor:
        """(questions, entries + 1)."""
        questions = self._project(one.questions)
        cosines = questions @ self._project(one.wordings).T
        lowest = torch.full((len(questions), one.size), -1.0)
        nearest = lowest.scatter_reduce(1, one.owners.expand(len(questions), -1), cosines, "amax")
        scores = self.scales[0] * nearest + self.scales[1] * questions @ self._project(one.bodies).T
        none = self.scales[2] - questions @ self.usual
        return torch.cat([scores, none[:, None]], 1)

    def _project(self, vectors: torch.Tensor) -> torch.Tensor:
        seen = nn.functional.dropout(vectors - self.mean, DROPOUT, self.training)
        return nn.functional.normalize(seen @ self.matrix, dim=1)


def fit_projection(tasks: Sequence[Task]) -> Projection:
    """The same for the same tasks."""
    torch.manual_seed(0)
    shuffled, model = random.Random(0), Likeness(tasks)
    optimizer = torch.optim.Adam([{"params": [getattr(model, name)], "lr": rate} for name, rate in RATES.items()])
    steps = list(tasks)
    for _ in range(EPOCHS):
        shuffled.shuffle(steps)
        for one in steps:
            scores, right = model(one), one.right
            if shuffled.random() < 0.5:  # noqa: PLR2004  every second step
                scores, right = _left_out(scores, right)
            away = ((model.matrix - model.start) ** 2).sum()
            loss = nn.functional.cross_entropy(scores, right) + STAY * away
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return Projection(mean=_half(model.mean), matrix=_half(model.matrix), usual=_half(model.usual))


def _left_out(scores: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores without some of the entries, to whose questions "none" is the right answer now."""
    none = scores.shape[1] - 1
    gone = torch.cat([torch.rand(none) < LEFT_OUT, torch.tensor([False])])
    return scores.masked_fill(gone, -1e4), torch.where(gone[right], none, right)


def _half(values: torch.Tensor) -> Floats:
    """The numbers as they are shipped, with 16 bits."""
    halves: Floats = values.detach().numpy().astype(np.float16).astype(np.float32)
    return halves
