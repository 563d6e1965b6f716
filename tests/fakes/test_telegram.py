"""The fake Telegram enforces the rules that the bot depends on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.telegram.control import Account, advance, make_account, run_telegram

ROOM = {"id": -100, "type": "group", "title": "g"}


@pytest.fixture(scope="module")
def journal_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("telegram") / "journal"


@pytest.fixture(scope="module")
def address(journal_file: Path) -> Iterator[str]:
    with run_telegram(journal_file, speed=0) as found:
        yield found


@pytest.fixture
async def account(address: str) -> AsyncIterator[Account]:
    async with make_account(address) as made:
        yield made


async def call(account: Account, method: str, **given: object) -> dict[str, Any]:
    """Call a method and return the answer's body, also for errors."""
    async with httpx.AsyncClient(base_url=account.base_url, trust_env=False, timeout=20) as http:
        sent = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        return dict((await http.post(f"/bot{account.token}/{method}", data=sent)).json())


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_updates_come_until_their_offset_is_passed(account: Account) -> None:
    """GetUpdates repeats updates until an offset above their ids confirms them."""
    await account.say("one")
    await account.say("two")
    first = (await call(account, "getUpdates"))["result"]
    assert [update["message"]["text"] for update in first] == ["one", "two"]
    assert (await call(account, "getUpdates", offset=first[0]["update_id"]))["result"] == first
    assert (await call(account, "getUpdates", offset=first[0]["update_id"] + 1))["result"] == first[1:]
    assert (await call(account, "getUpdates"))["result"] == first[1:]
    assert (await call(account, "getUpdates", offset=first[1]["update_id"] + 1))["result"] == []


async def test_updates_are_kept_for_a_day(account: Account, address: str) -> None:
    """Updates are still there after 23 hours and gone after 25."""
    await account.say("one")
    await advance(address, 23 * 3600)
    assert len((await call(account, "getUpdates"))["result"]) == 1
    await advance(address, 2 * 3600)
    assert (await call(account, "getUpdates"))["result"] == []


async def test_one_at_a_time_may_ask(account: Account) -> None:
    """A second poll ends the first with 409, and a webhook ends polling."""
    first = asyncio.create_task(call(account, "getUpdates", timeout=50))
    while not (await account.state())["polls"]:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(call(account, "getUpdates", timeout=50))
    assert (await first)["error_code"] == 409
    await call(account, "setWebhook", url="http://127.0.0.1:9/")
    assert (await second)["error_code"] == 409
    assert (await call(account, "getUpdates"))["error_code"] == 409
    await call(account, "deleteWebhook")
    assert (await call(account, "getUpdates"))["ok"]


async def test_kinds_that_were_not_asked_for_do_not_come(account: Account) -> None:
    """allowed_updates stays in force until another list is given."""
    await call(account, "getUpdates", allowed_updates=["callback_query"])
    await account.say("one")
    assert (await call(account, "getUpdates", allowed_updates=["message"]))["result"] == []
    await account.say("two")
    assert len((await call(account, "getUpdates"))["result"]) == 1


async def test_privacy_keeps_a_groups_talk_from_the_bot(account: Account) -> None:
    """In privacy mode the bot receives only mentions, commands and replies to it."""
    for text in ("hello", f"@{account.username} hi", "/help"):
        await account.say(text, chat=ROOM)
    found = (await call(account, "getUpdates"))["result"]
    assert [update["message"]["text"] for update in found] == [f"@{account.username} hi", "/help"]


async def test_an_edit_is_an_edit(account: Account) -> None:
    """An edit without a change is refused, an unknown message is not found, and an omitted keyboard is removed."""
    await account.say("hi", person=5)
    keyboard = {"inline_keyboard": [[{"text": "x", "callback_data": "y"}]]}
    sent = (await call(account, "sendMessage", chat_id=5, text="a", reply_markup=keyboard))["result"]
    place = {"chat_id": 5, "message_id": sent["message_id"]}
    again = await call(account, "editMessageText", **place, text="a", reply_markup=keyboard)
    assert "message is not modified" in again["description"]
    assert "reply_markup" not in (await call(account, "editMessageText", **place, text="a"))["result"]
    gone = await call(account, "editMessageText", chat_id=5, message_id=999, text="a")
    assert gone["description"] == "Bad Request: message to edit not found"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"text": " "}, "message text is empty"),
        ({"text": "🎉" * 2049}, "message is too long"),
        ({"text": "a", "chat_id": 404}, "chat not found"),
        ({"text": "a", "message_thread_id": 3}, "message thread not found"),
        ({"text": "a", "reply_parameters": {"message_id": 99}}, "message to be replied not found"),
        ({"text": "a", "entities": [{"type": "bold", "offset": 0, "length": 2}]}, "ENTITY_BOUNDS_INVALID"),
    ],
)
async def test_a_bad_message_is_refused(account: Account, given: dict[str, object], complaint: str) -> None:
    """Bad calls get 400 with the reason."""
    await account.say("hi", person=5)
    answer = await call(account, "sendMessage", **{"chat_id": 5, **given})
    assert (answer["error_code"], complaint in answer["description"]) == (400, True)


async def test_an_unknown_token_is_refused(account: Account) -> None:
    """An unknown token gets 401."""
    account.token = "1:unknown"
    assert (await call(account, "getMe"))["error_code"] == 401


async def test_flooded_chat_gets_the_time_to_wait(account: Account, address: str) -> None:
    """Edits, sends and typing count together: a group takes 20 a minute, then says how long to wait."""
    await account.say("/help", chat=ROOM)
    answers = [await call(account, "sendChatAction", chat_id=-100, action="typing") for _ in range(10)]
    answers += [await call(account, "sendMessage", chat_id=-100, text="a") for _ in range(11)]
    assert [answer["ok"] for answer in answers] == [True] * 20 + [False]
    assert answers[-1]["parameters"] == {"retry_after": 61}
    await advance(address, 61)
    assert (await call(account, "sendMessage", chat_id=-100, text="a"))["ok"]


async def test_an_upgraded_group_says_where_it_went(account: Account) -> None:
    """A call to an upgraded group gets 400 with the id of the supergroup."""
    await account.say("/help", chat=ROOM)
    await account.migrate(-100, -1001)
    assert (await call(account, "sendMessage", chat_id=-100, text="a"))["parameters"] == {"migrate_to_chat_id": -1001}


async def test_the_journal_is_on_disk(account: Account, journal_file: Path) -> None:
    """A message is in the journal on disk before the bot gets its answer."""
    await account.say("hi", person=5)
    await call(account, "sendMessage", chat_id=5, text="shown")
    sends = [line for line in lines_of(journal_file) if line["bot"] == account.id and line["do"] == "send"]
    assert [line["text"] for line in sends] == ["shown"]
