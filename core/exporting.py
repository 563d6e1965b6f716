"""Export of records in pages, so that a long one keeps no message waiting."""

from collections.abc import AsyncIterator

from core.messages import Person
from core.store import Store, records
from core.store.records import Record


async def all_records(store: Store, person: Person | None) -> AsyncIterator[Record]:
    """Everything stored about a person, or about everybody if it is None, oldest first. Raises StoreError."""
    after = 0
    while page := await store.read(records.export, person, after):
        for record in page:
            yield record
        after = page[-1].turn
