"""Fatal errors: one line on standard error and an exit status."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import ConfigError, ModelError, ParleyError, StoreUnusable


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line on standard error, instead of a traceback, at an error of `core/errors.py`.

    Exit status 78 (EX_CONFIG of sysexits.h) means that a restart will fail again until an operator changes something.
    """
    try:
        yield
    except ParleyError as error:
        _end(error)
    except ExceptionGroup as group:
        expected = group.subgroup(ParleyError)
        if expected is None:
            raise
        _end(_first(expected))


def _end(error: Exception) -> None:
    print("parley:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201  logs may not be set up yet
    sys.exit(os.EX_CONFIG if isinstance(error, ConfigError | ModelError | StoreUnusable) else 1)


def _first(error: Exception) -> Exception:
    """The first error of a group, and of the groups in it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
