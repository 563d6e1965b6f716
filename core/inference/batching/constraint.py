"""What a reply may say, as the sampler asks for it: which tokens may come next."""

from typing import Protocol

from core.inference.arrays import Floats


class ConstraintFailed(Exception):
    """No token can be chosen: none is allowed, or to find the allowed ones takes too much work."""


class Constraint(Protocol):
    """The state of one reply. Used by the loop's thread only. Both methods raise ConstraintFailed."""

    def restrict(self, logits: Floats) -> None:
        """Set the logits of the tokens that may not come next to -inf. `logits`: float32 [vocabulary]."""

    def advance(self, token: int) -> None:
        """Move past a token that was allowed."""


class Unconstrained:
    """Everything may be said."""

    def restrict(self, logits: Floats) -> None:
        pass

    def advance(self, token: int) -> None:
        pass
