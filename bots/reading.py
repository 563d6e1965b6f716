"""Reads what platforms send, within bounds: JSON of a size and a depth, and times to wait until a call is repeated."""

import json
import math
import re
from email.utils import parsedate_to_datetime

MAX_BYTES = 16 << 20
"""A hundred updates of Telegram take a tenth of it."""
MAX_DEPTH = 100
"""Levels of lists and objects. The deepest that platforms send, Slack's blocks in attachments, have some twenty."""
MAX_DIGITS = 25
"""Digits of a number. No platform sends longer ones; Python refuses to read those of 4,301."""
MAX_RETRY_AFTER = 3_600.0
"""Seconds that a platform is left alone at most, whatever it asks for."""
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class Unreadable(ValueError):
    """Not JSON, or beyond the bounds."""


def read_json(body: bytes) -> object:
    """The value of a JSON text; invalid UTF-8 in it is replaced, and a number that is too long is NaN.

    Raises Unreadable.
    """
    if len(body) > MAX_BYTES:
        raise Unreadable("too large")
    text = body.decode("utf-8", "replace")
    if _depth(text) > MAX_DEPTH:
        raise Unreadable("nested too deep")
    try:
        return json.loads(text, parse_int=_number)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None


def retry_after(value: object, now: float, otherwise: float) -> float:
    """Seconds until a call may be repeated, from the number or the date of an answer (RFC 9110, section 10.2.3).

    `otherwise` if there is no value, or none that makes sense; at most `MAX_RETRY_AFTER`. Times are UTC epoch seconds.
    """
    seconds = _seconds(value, now)
    return otherwise if math.isnan(seconds) or seconds < 0 else min(seconds, MAX_RETRY_AFTER)


def _seconds(value: object, now: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:
        return _until(str(value), now)


def _until(date: str, now: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError, TypeError, IndexError):
        return math.nan


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.nan


def _depth(text: str) -> int:
    """The deepest level of brackets outside of strings, counted up to the bound."""
    depth = deepest = 0
    for token in TOKENS.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            break
    return deepest
