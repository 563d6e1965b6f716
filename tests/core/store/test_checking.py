import pytest

from core.errors import StoreDamaged, StoreFailing
from core.store.checking import judge


def test_a_page_that_the_disk_does_not_return_is_no_damage() -> None:
    """The check reports an unread page (SQLITE_IOERR_CORRUPTFS) like a damaged one; only the code tells them apart."""
    judge("ok")
    with pytest.raises(StoreFailing):
        judge("*** in database main ***\nPage 3: unable to get the page. error code=8458")
    with pytest.raises(StoreDamaged):
        judge("*** in database main ***\nPage 3: unable to get the page. error code=11")
    with pytest.raises(StoreDamaged):
        judge("*** in database main ***\nPage 3 is never used")
