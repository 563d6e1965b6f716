"""The check of a whole database, and what its verdict means."""

import re
import sqlite3

from core.errors import StoreDamaged, StoreFailing

CHECK = "PRAGMA quick_check(1)"
UNREAD = re.compile(r"failed to get page|unable to get the page\. error code=(?P<code>\d+)")
"""SQLite reports a page that the disk does not return as if it were damaged."""
PRIMARY = 0xFF
"""The bits of an error code without what specifies it."""


def judge(verdict: str) -> None:
    """Raises StoreDamaged unless the verdict of the check is good, StoreFailing if a page could not be read."""
    if verdict == "ok":
        return
    unread = UNREAD.search(verdict)
    is_failing = unread and int(unread["code"] or sqlite3.SQLITE_IOERR) & PRIMARY == sqlite3.SQLITE_IOERR
    raise (StoreFailing if is_failing else StoreDamaged)(verdict)
