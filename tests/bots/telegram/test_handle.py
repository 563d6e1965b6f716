"""Handles outlive the process that wrote them: their notation in the store does not change."""

import pytest

from bots.telegram.handle import Handle


@pytest.mark.parametrize("stored", ["5:1", "-1001:12,13"])
def test_handle_is_stored_and_read(stored: str) -> None:
    """A handle is written as it always was, and read back."""
    assert str(Handle.parse(stored)) == stored


@pytest.mark.parametrize("stored", ["", "5", "5:", ":1", "x:1", "5:1,,2", "５:1", "5:1\n", "5:" + "1" * 5_000])
def test_damaged_handle_is_none(stored: str) -> None:
    """A handle that only a damaged store can hold names no messages."""
    assert Handle.parse(stored) is None
