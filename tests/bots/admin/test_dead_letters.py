"""Operators see what the bot has given up on, and have it tried again or dropped."""

from structlog.testing import capture_logs

from config.settings import AdminSettings, Settings
from core.messages import Source
from core.store import dead_letters, turns
from core.store.dead_letters import PAGE
from tests.bots.admin.headquarters import Headquarters, open_headquarters
from tests.bots.letters import FAULT, FRONT, add_dead_letter


async def test_dead_letters_are_listed_without_words(operator: Headquarters) -> None:
    """Number, platform, what failed and when; what was written only if operators may read it."""
    assert "There are none" in await operator.read("dead-letters")
    number = await add_dead_letter(operator.store, operator.clock)
    operator.clock.jump(7_200)
    page = await operator.read("dead-letters")
    assert f"Message {number} · test" in page
    assert "Could not be answered" in page
    assert FAULT.replace("<", "&lt;") in page
    assert "2 hours ago" in page
    assert "a secret" not in page
    async with open_headquarters(settings=Settings(admin=AdminSettings(read_conversations=True))) as reader:
        await reader.sign_in()
        await add_dead_letter(reader.store, reader.clock)
        assert "a secret" in await reader.read("dead-letters")


async def test_one_or_all_are_tried_again(operator: Headquarters) -> None:
    """The one with a number, or all, wait for an answer again."""
    first, *_ = [await add_dead_letter(operator.store, operator.clock) for _ in range(3)]
    sent = await operator.send("dead-letters/retry", number=str(first))
    assert (sent.status_code, sent.headers["location"]) == (303, "/admin/dead-letters")
    assert len(await operator.store.read(dead_letters.listed)) == 2
    await operator.send("dead-letters/retry", number="0")
    assert await operator.store.read(dead_letters.listed) == ()
    lease = turns.Lease(owner="me", now=operator.clock.now(), until=operator.clock.now() + 9)
    claim = await operator.store.run(turns.claim_waiting, lease, [FRONT])
    assert claim
    assert claim.id == first


async def test_one_is_dropped(operator: Headquarters) -> None:
    """It is gone from the list and does not come back, and the others stay; all are never dropped at once."""
    first, second = [await add_dead_letter(operator.store, operator.clock) for _ in range(2)]
    with capture_logs() as lines:
        for number in (first, first, 0):
            assert (await operator.send("dead-letters/drop", number=str(number))).status_code == 303
    assert await operator.store.read(dead_letters.listed) == (second,)
    deeds = [line for line in lines if line["event"] == "operator"]
    assert [(line["did"], line["turn"]) for line in deeds] == [("dropped", first)]
    assert (await operator.send("dead-letters/drop", number="x")).status_code == 422
    dropped = await operator.store.read(lambda c: c.exec_driver_sql("SELECT source FROM turns WHERE id = 1").scalar())
    assert dropped == Source.REFUSAL


async def test_many_come_in_pages(operator: Headquarters) -> None:
    """The link leads behind the last one."""
    numbers = [await add_dead_letter(operator.store, operator.clock) for _ in range(PAGE + 1)]
    first = await operator.read("dead-letters")
    assert f"/admin/dead-letters?after={numbers[-2]}" in first
    second = await operator.read(f"dead-letters?after={numbers[-2]}")
    assert f"Message {numbers[-1]} " in second
    assert second.count("<li>") == 1
