"""Progress bars on standard error, for people. Without a terminal a download is a line, and all else silent."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as Bars,
)

from core.progress import Progress

DESCRIPTION = TextColumn("{task.description}")
COUNTED: tuple[ProgressColumn, ...] = (DESCRIPTION, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
UNKNOWN: tuple[ProgressColumn, ...] = (DESCRIPTION, BarColumn(), TimeElapsedColumn())
BYTES: tuple[ProgressColumn, ...] = (
    *(DESCRIPTION, BarColumn(), DownloadColumn()),
    *(TransferSpeedColumn(), TimeRemainingColumn()),
)


@contextmanager
def counting(what: str) -> Iterator[Progress]:
    """A bar that is shown once work is done, and gone at the end."""
    with _bars(COUNTED) as bars:
        task = bars.add_task(what, total=None, visible=False)
        yield lambda done, total: bars.update(task, completed=done, total=total, visible=True)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A bar for work whose end is not known."""
    with _bars(UNKNOWN) as bars:
        bars.add_task(what, total=None)
        yield


@contextmanager
def downloading() -> Iterator[Callable[[str, int], Progress]]:
    """Makes a bar for each file by its name and size in bytes; without a terminal, a line."""
    with _bars(BYTES) as bars:

        def begin(name: str, size: int) -> Progress:
            task = bars.add_task(name, total=size)
            if bars.disable:
                print(f"downloading {name} ({size / 1e6:.0f} MB)", file=sys.stderr, flush=True)  # noqa: T201
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield begin


def _bars(columns: tuple[ProgressColumn, ...]) -> Bars:
    return Bars(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
