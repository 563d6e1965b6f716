"""A fixture of the stages' tests."""

import pytest

from core.store import Store


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """Stages do not know which database there is."""
    return sqlite_store
