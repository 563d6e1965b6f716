"""A stranger on Telegram asks to be let in, and an administrator decides by a button."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bots.telegram.conftest import LIMITS, done, echo, open_gateway
from tests.bots.telegram.test_delivery import texts
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry

EVE, BOSS = 9, 3
GUARDED = replace(
    LIMITS,
    allow=frozenset({f"telegram:{BOSS}"}),
    admins=frozenset({f"telegram:{BOSS}"}),
    asks_admins=True,
)


def asked(journal: list[Entry]) -> list[Entry]:
    """The edits with the buttons. The message that is posted before has the first sentence only."""
    return [entry for entry in shown(journal, BOSS) if "would like to talk" in entry["text"] and entry["buttons"]]


async def until_asked(account: Account) -> Entry:
    """The question to the administrator, who has written to the bot, about a stranger."""
    await account.say("hello", person=BOSS)
    await account.until(done)
    await account.say("let me in", person={"id": EVE, "first_name": "Eve"})
    (question,) = asked(await account.until(asked))
    return question


@pytest.mark.parametrize(("number", "decision"), [(0, "may talk with me from now on"), (1, "may not talk with me")])
async def test_an_administrator_decides_after_a_restart(
    account: Account, tmp_path: Path, number: int, decision: str
) -> None:
    """The stranger is told that somebody was asked. In the next process the buttons work, and the stranger is told."""
    database = f"sqlite:///{tmp_path}/parley.db"
    async with open_gateway(account, echo(), database=database, limits=GUARDED):
        question = await until_asked(account)
        await account.until(lambda journal: any("asked an administrator" in text for text in texts(journal, EVE)))
    assert question["text"].startswith(f"Eve (telegram:{EVE}) would like to talk with me.")
    async with open_gateway(account, echo(), database=database, limits=GUARDED):
        await account.press(BOSS, question["message"], question["buttons"][number], person=BOSS)
        await account.until(lambda journal: any(decision in text for text in texts(journal, BOSS)))
        if number == 0:
            await account.until(lambda journal: any(text.startswith("You may talk") for text in texts(journal, EVE)))
        await account.say("again", person=EVE)
        if number == 0:
            await account.until(lambda journal: done(journal, 1, "you said again"))
        assert len(asked(await account.journal())) == 1
