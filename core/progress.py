"""How far a long piece of work is, for those who show it."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Takes what is done and the total, both in units of the work."""


def unwatched(_done: int, _total: int) -> None:
    """Nobody looks."""
