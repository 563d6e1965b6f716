"""/forget on Telegram asks with buttons, and deletes after a yes of the person who asked."""

import pytest

from tests.bots.telegram.conftest import done, open_gateway, rows
from tests.bots.telegram.test_asides import CLOSED, GROUP, linked
from tests.bots.telegram.test_delivery import ANN, ROOM, texts
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry


def question(journal: list[Entry]) -> list[Entry]:
    """The edits with the buttons. The message that is posted before has the first sentence only."""
    asked = [entry for entry in shown(journal, ANN) if entry["text"].startswith("Shall I delete")]
    return [entry for entry in asked if entry["buttons"]]


def is_done(journal: list[Entry]) -> bool:
    return any("I have deleted" in text for text in texts(journal, ANN))


@pytest.mark.parametrize("typed", ["/forget", "/start forget"])
async def test_yes_forgets_after_a_restart(account: Account, tmp_path: object, typed: str) -> None:
    """The question has two buttons, and its yes works in the next process."""
    database = f"sqlite:///{tmp_path}/parley.db"
    async with open_gateway(account, database=database):
        await account.say("the canary sings", person=ANN)
        await account.until(done)
        await account.say(typed, person=ANN)
        (asked,) = question(await account.until(question))
    faces = [b["text"] for row in await keyboard(account, asked["message"]) for b in row]
    assert faces == ["Yes, forget me", "No"]
    async with open_gateway(account, database=database) as gateway:
        await account.press(ANN, asked["message"], asked["buttons"][0], person=ANN)
        await account.until(is_done)
        assert await rows(gateway, "SELECT text FROM turns WHERE text <> '/forget yes'") == []


async def test_no_keeps_everything(account: Account) -> None:
    """A no is answered, and nothing is deleted."""
    async with open_gateway(account) as gateway:
        await account.say("/forget", person=ANN)
        (asked,) = question(await account.until(question))
        await account.press(ANN, asked["message"], asked["buttons"][1], person=ANN)
        await account.until(lambda journal: "Good, I keep everything." in texts(journal, ANN))
        assert await rows(gateway, "SELECT text FROM turns") == [("/forget",), ("/forget no",)]


async def test_in_a_group_the_question_is_private(account: Account) -> None:
    """/forget in a group asks in the private chat, and its yes is answered there."""
    async with open_gateway(account):
        await account.say("hello", person=ANN)
        await account.until(done)
        await account.say("/forget", person=ANN, chat=GROUP)
        (asked,) = question(await account.until(question))
        await account.press(ANN, asked["message"], asked["buttons"][0], person=ANN)
        journal = await account.until(is_done)
    assert not shown(journal, ROOM)


async def test_the_link_in_the_group_has_no_buttons(account: Account) -> None:
    """If the question cannot be asked in private, the group is shown a link to it, without its buttons."""
    async with open_gateway(account):
        await account.say("hello", person=ANN)
        await account.until(done)
        await account.faults(CLOSED)
        await account.say("/forget", person=ANN, chat=GROUP)
        journal = await account.until(lambda journal: linked(account, "forget") in texts(journal, ROOM))
    assert not [entry for entry in shown(journal, ROOM) if entry["buttons"]]


async def test_without_buttons_a_typed_yes_works(account: Account) -> None:
    """/forget yes deletes at once."""
    async with open_gateway(account) as gateway:
        await account.say("the canary sings", person=ANN)
        await account.until(done)
        await account.say("/forget yes", person=ANN)
        await account.until(is_done)
        assert await rows(gateway, "SELECT text FROM turns WHERE text <> '/forget yes'") == []


async def keyboard(account: Account, message: int) -> list[list[dict[str, str]]]:
    kept = {one["message_id"]: one for one in (await account.state())["chats"][str(ANN)]}
    return list(kept[message]["reply_markup"]["inline_keyboard"])
