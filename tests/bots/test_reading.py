import math

import pytest

from bots.reading import MAX_BYTES, MAX_DEPTH, MAX_RETRY_AFTER, Unreadable, read_json, retry_after

NOW = 1_750_000_000.0  # Sunday, 15 June 2025, 15:06:40 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3, 3),
        (1.5, 1.5),
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        (0, 0),
        ("Sun, 15 Jun 2025 15:07:40 GMT", 60),
        ("Mon, 15 Jun 2026 15:06:40 GMT", MAX_RETRY_AFTER),
        (31_536_000, MAX_RETRY_AFTER),
        ("9" * 5_000, MAX_RETRY_AFTER),
        (10**400, MAX_RETRY_AFTER),
        (math.inf, MAX_RETRY_AFTER),
        (None, 30),
        ("", 30),
        ("soon", 30),
        (-1, 30),
        ("-1", 30),
        (math.nan, 30),
        ("nan", 30),
        (True, 30),
        ([], 30),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30),
        ("Sun, 15 Jun 99999 15:07:40 GMT", 30),
    ],
)
def test_every_form_of_a_wait_is_bounded(value: object, seconds: float) -> None:
    """Numbers and dates are seconds from now, an hour at most; what makes no sense is the default."""
    assert retry_after(value, NOW, 30) == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b'{"a":', b"[" * 100_000, b"[" * 101 + b"]" * 101, b" " * (MAX_BYTES + 1), b"nul"],
)
def test_what_is_no_json_within_bounds_is_unreadable(body: bytes) -> None:
    """A text that is no JSON, too long or nested too deep is one error, and no other."""
    with pytest.raises(Unreadable):
        read_json(body)


def test_json_is_read_up_to_its_bounds() -> None:
    """Brackets in strings are no depth, a long number is none, and bytes that are no UTF-8 are replaced."""
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_json(deep.encode()) != []
    assert read_json(b'"' + b"[" * 1_000 + rb"\"[" + b'"') == "[" * 1_000 + '"['
    assert read_json(b'"\xff"') == "\ufffd"
    number = read_json(b"9" * 5_000)
    assert isinstance(number, float)
    assert math.isnan(number)
