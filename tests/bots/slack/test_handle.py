"""Handles outlive the process that wrote them: their notation in the store does not change."""

import pytest

from bots.slack.handle import Handle, Surface


@pytest.mark.parametrize(
    ("stored", "handle", "is_message"),
    [
        ("post:5.000001", Handle(surface=Surface.POST, ts="5.000001"), True),
        ("stream:5.000001", Handle(surface=Surface.STREAM, ts="5.000001"), True),
        ("direct:5.000001:D1", Handle(surface=Surface.DIRECT, ts="5.000001", channel="D1"), True),
        ("direct:5.000001:D1:F1", Handle(surface=Surface.DIRECT, ts="5.000001", channel="D1", file="F1"), True),
        ("post:5.000001::F1", Handle(surface=Surface.POST, ts="5.000001", file="F1"), True),
        ("ephemeral", Handle(surface=Surface.EPHEMERAL), False),
        ("response", Handle(surface=Surface.RESPONSE), False),
        ("nowhere", Handle(surface=Surface.NOWHERE), False),
    ],
)
def test_handle_is_stored_and_read(stored: str, handle: Handle, *, is_message: bool) -> None:
    """Each kind of handle is written as it always was, and read back."""
    assert str(handle) == stored
    assert Handle.parse(stored) == handle
    assert handle.is_message == is_message


@pytest.mark.parametrize("stored", ["", "draft:5.000001", "ruined"])
def test_unknown_handle_shows_nothing(stored: str) -> None:
    """A handle from a damaged store ends its own turn only: nothing can be shown for it."""
    assert Handle.parse(stored).surface is Surface.NOWHERE
