"""What a kind of database does for the store: it runs transactions, and keeps what is deleted out of its files."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias, TypeVar

import sqlalchemy as sa

R = TypeVar("R")
Timed: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Makes a context that is entered around a transaction that may write, on a thread of the store."""


class Transactions(Protocol):
    """Runs work in transactions, on the caller's thread. Everything here raises StoreError for database errors."""

    @property
    def engine(self) -> sa.Engine: ...

    def run(self, work: Callable[[sa.Connection], R], *, beside: bool) -> R:
        """Do some work in a transaction. It may run `beside` other such work, and is begun anew if it may not."""

    def read(self, work: Callable[[sa.Connection], R]) -> R:
        """Do some work that writes nothing."""

    def scrub(self) -> bool:
        """Have deleted text in no file. True if it is done."""

    def call(self, work: Callable[[], R]) -> R:
        """Do some work outside of a transaction."""
