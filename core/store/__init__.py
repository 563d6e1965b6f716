"""What must survive: messages, replies, history, preferences. `open_store` opens it; the verbs are in the modules."""

from core.store.database import Store, open_store

__all__ = ["Store", "open_store"]
