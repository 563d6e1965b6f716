"""The durable state: turns, history, people, votes. `open_store` opens it; each module holds the verbs of one topic."""

from core.store.database import Database, Store, open_store

__all__ = ["Database", "Store", "open_store"]
