from collections.abc import AsyncIterator

import pytest

from tests.bots.admin.headquarters import Headquarters, open_headquarters


@pytest.fixture
async def office() -> AsyncIterator[Headquarters]:
    """An operator's page with a password, to which nobody has signed in."""
    async with open_headquarters() as opened:
        yield opened


@pytest.fixture
async def operator(office: Headquarters) -> Headquarters:
    """One whose operator has signed in."""
    assert (await office.sign_in()).status_code == 303
    return office
