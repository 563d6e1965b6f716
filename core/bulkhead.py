"""The wall around one piece of work, such as a turn or an update: what nobody expected costs that piece only.

It is a process's outer loop: beside `stages/refusals.py`, no other place catches every exception.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FRAMES = 3
"""How many of the innermost frames tell where an exception was raised."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How a piece of work ended. `fault` says what was raised, and where; it is empty if nothing was."""

    fault: str = ""


@contextmanager
def bulkhead(*passing: type[Exception]) -> Iterator[Outcome]:
    """End the body at any exception but the `passing` ones, and note it in the outcome. A cancellation passes too."""
    outcome = Outcome()
    try:
        yield outcome
    except passing:
        raise
    except Exception as error:  # noqa: BLE001  this is the wall
        outcome.fault = described(error)


def described(error: BaseException) -> str:
    """An exception for the log: "KeyError at api.py:12 < delivery.py:40".

    Its message is left out, since it may quote a person or hold a token.
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = (f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    kinds = sorted({type(leaf).__name__ for leaf in _leaves(error)})
    return f"{', '.join(kinds)} at {' < '.join(places)}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, and of the groups in it."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
