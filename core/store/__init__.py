"""The durable state: turns, history, people, votes. `open_store` opens it; each module holds the verbs of one topic."""

from core.store.database import Store, open_store

__all__ = ["Store", "open_store"]
