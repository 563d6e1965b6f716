import asyncio

import pytest

from core.bulkhead import bulkhead
from core.errors import StoreError


def test_fault_is_noted_without_its_message() -> None:
    """What the body raises ends the body; its kind and its place are noted, and not its message."""
    with bulkhead() as outcome:
        raise KeyError("a person's words")
    assert outcome.fault.startswith("KeyError at test_bulkhead.py:")
    assert "words" not in outcome.fault


def test_groups_are_described_by_what_is_in_them() -> None:
    """The fault of an exception group names the kinds of its exceptions."""
    with bulkhead() as outcome:
        raise ExceptionGroup("", [KeyError(), ExceptionGroup("", [ValueError()])])
    assert outcome.fault.startswith("KeyError, ValueError at ")


@pytest.mark.parametrize("error", [StoreError(), asyncio.CancelledError(), KeyboardInterrupt()])
def test_some_exceptions_pass(error: BaseException) -> None:
    """Exceptions that the caller handles pass, and so does a cancellation."""
    with pytest.raises(type(error)), bulkhead(StoreError):
        raise error


def test_nothing_is_noted_of_work_that_ends_well() -> None:
    """The fault is empty if nothing was raised."""
    with bulkhead() as outcome:
        pass
    assert outcome.fault == ""
