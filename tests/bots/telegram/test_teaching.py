"""An administrator on Telegram lists what was asked in vain, and answers it."""

from dataclasses import replace
from pathlib import Path

from tests.bots.taught import open_shop
from tests.bots.telegram.conftest import LIMITS, FastClock, open_gateway
from tests.bots.telegram.test_delivery import ANN, texts
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry

BOSS = 3
ADMINS = replace(LIMITS, allow=frozenset({"telegram:*"}), admins=frozenset({f"telegram:{BOSS}"}))


def asked(journal: list[Entry]) -> list[Entry]:
    """The edits with the buttons below the entry."""
    return [entry for entry in shown(journal, BOSS) if "Shall I learn it?" in entry["text"] and entry["buttons"]]


def said(journal: list[Entry], chat: int, words: str) -> list[str]:
    return [text for text in texts(journal, chat) if words in text]


async def until_said(account: Account, chat: int, words: str) -> str:
    """The first message of a chat that has these words."""
    journal = await account.until(lambda journal: said(journal, chat, words))
    return said(journal, chat, words)[0]


async def test_an_administrator_answers_a_gap(account: Account, tmp_path: Path) -> None:
    """The yes works in the next process; within seconds the customer gets the answer word for word."""
    database, clock = f"sqlite:///{tmp_path}/parley.db", FastClock()
    async with open_shop(tmp_path, clock) as expertise:
        async with open_gateway(account, database=database, limits=ADMINS, expertise=expertise):
            await account.say("How deep is the pool?", person=ANN)
            await until_said(account, ANN, "I do not know that.")
            await account.say("/gaps", person=BOSS)
            listed = await until_said(account, BOSS, "To answer it")
            number = listed.splitlines()[1].partition(":")[0]
            await account.say(f"/teach {number} How deep is the pool? = Two metres.", person=BOSS)
            (question,) = asked(await account.until(asked))
        async with open_gateway(account, database=database, limits=ADMINS, expertise=expertise):
            version = expertise.knowledge.version
            await account.press(BOSS, question["message"], question["buttons"][0], person=BOSS)
            await until_said(account, BOSS, "Learned:")
            while expertise.knowledge.version == version:
                await clock.sleep(1)
            await account.say("how deep is the pool", person=ANN)
            assert (await until_said(account, ANN, "From: How deep is the pool?")).startswith("Two metres.")
