"""The end of a program: one line on standard error if it fails, and an exit status."""

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from core.errors import ConfigError, KnowledgeUnusable, ModelError, ParleyError, StoreUnusable

SIGNAL_STATUS = 128
"""Added to a signal's number, as shells do for programs that a signal has ended."""
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors of a file or a pipe that the output goes to."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line on standard error, instead of a traceback, at an error of `core/errors.py`.

    Exit status 78 (EX_CONFIG of sysexits.h) means that a restart will fail again until an operator changes something,
    74 (EX_IOERR) that the output cannot be written. If the reader of the output has ended, as `head` does, the program
    ends silently.
    """
    _write_any_text()
    try:
        yield
        sys.stdout.flush()  # an error in Python's own flush at the end would be reported there
    except ParleyError as error:
        _end(error)
    except OSError as error:
        _end_of_output(error)
    except ExceptionGroup as group:
        expected = group.subgroup((ParleyError, OSError))
        if expected is None:
            raise
        first = _first(expected)
        if isinstance(first, OSError):
            _end_of_output(first)
        _end(first)


def end_by_signal(number: int) -> None:
    """End the program at once, with the status that the signal would have ended it with."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _write_any_text() -> None:
    """Write characters that the terminal's encoding lacks as their numbers, and read bytes that are no characters."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def utf8_output() -> None:
    """Write UTF-8 to standard output, whatever the terminal's encoding: programs read it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def _end_of_output(error: OSError) -> NoReturn:
    """End the program if its output cannot be written; raise the error if it is another one."""
    if not isinstance(error, BrokenPipeError) and error.errno not in UNWRITABLE:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at the end
    if isinstance(error, BrokenPipeError):
        sys.exit(SIGNAL_STATUS + signal.SIGPIPE)
    print("parley: cannot write the output:", error.strerror, file=sys.stderr)  # noqa: T201  logs may not be set up
    sys.exit(os.EX_IOERR)


def _end(error: Exception) -> NoReturn:
    print("parley:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201  logs may not be set up yet
    sys.exit(os.EX_CONFIG if isinstance(error, ConfigError | KnowledgeUnusable | ModelError | StoreUnusable) else 1)


def _first(error: Exception) -> Exception:
    """The first error of a group, and of the groups in it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
