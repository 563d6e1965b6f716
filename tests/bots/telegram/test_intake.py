"""Intake: every message is accepted despite failures of Telegram, network and store, and answered once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import structlog
from starlette.applications import Starlette

from bots.logs import configure_logs
from bots.telegram.adapter import NAME_CHECK_SECONDS, open_telegram
from bots.telegram.http import HEADER, MAX_BYTES, PATH
from bots.telegram.polling import Timeouts
from config.settings import TelegramSettings
from core.admission import Admission
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.errors import ConfigError
from core.store import Store, open_store
from tests.bots.telegram.conftest import LIMITS, Gateway, answers, done, echo, open_gateway, rows
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import entities

MODES = ["polling", "webhook"]
SECRET = "a-secret-of-the-operator"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://") as opened:
        yield opened


def calls(journal: list[Entry], method: str, fault: str | None = None) -> list[Entry]:
    found = [entry for entry in journal if entry["do"] == "call" and entry["method"] == method]
    return [entry for entry in found if fault in {None, entry["fault"]}]


async def set_room(gateway: Gateway, pages: int) -> None:
    """Limit the store to a number of pages; 0 means its present size."""

    def limit(connection: sa.Connection) -> None:
        have = connection.execute(sa.text("PRAGMA page_count")).scalar_one()
        connection.execute(sa.text(f"PRAGMA max_page_count = {pages or have}"))

    await gateway.store.run(limit)


async def asked_again(account: Account, times: int) -> None:
    """Wait until the bot has asked for updates `times` more times."""
    before = (await account.state())["polls"]
    while (await account.state())["polls"] < before + times:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", MODES)
async def test_only_stored_updates_are_confirmed(account: Account, mode: str) -> None:
    """While the store is full, Telegram keeps the message; it is accepted and answered once there is room."""
    async with open_gateway(account, echo(), mode=mode) as gateway:
        await account.say("first", person=5)
        await account.until(done)
        await set_room(gateway, 0)
        await account.say("second " + "x" * 8000, person=5)
        if mode == "webhook":
            await account.until(lambda journal: [e for e in journal if e["do"] == "delivery" and e["status"] == 503])
        else:
            await asked_again(account, 3)
        assert (await account.state())["pending"] == 1
        await set_room(gateway, 100_000)
        await account.until(lambda journal: done(journal, 2))
    journal = await account.journal()
    assert [entry["text"] for entry in answers(journal)] == ["you said first 😐", "you said second 😐"]


async def test_a_batch_that_comes_twice_is_answered_once(account: Account) -> None:
    """Updates that come again because the response to getUpdates was lost are answered once."""
    async with open_gateway(account, echo()):
        await account.faults({"method": "getUpdates", "kind": "lost", "times": 2})
        for word in ("one", "two", "three"):
            await account.say(word, person=5)
        journal = await account.until(lambda journal: done(journal, 3))
    assert [entry["text"] for entry in answers(journal)] == [f"you said {word} 😐" for word in ("one", "two", "three")]


@pytest.mark.parametrize("mode", MODES)
async def test_a_message_under_another_number_is_the_same(account: Account, mode: str) -> None:
    """A repeated update, and a repeated message in another update, are not answered again."""
    async with open_gateway(account, echo(), mode=mode) as gateway:
        message = await account.say("one", person=5)
        await account.until(done)
        await account.raw({"update_id": 5_000, "message": message})
        await account.say("two", person=6)
        await account.until(lambda journal: done(journal, 1, "two"))
        await gateway.telegram.take(gateway.admission, {"update_id": 5_000, "message": message})
        assert len(await rows(gateway, "SELECT id FROM turns")) == 2


@pytest.mark.parametrize("mode", MODES)
async def test_another_message_under_a_known_number_is_answered(account: Account, mode: str) -> None:
    """A new message is answered even if its update has the number of an earlier one."""
    async with open_gateway(account, echo(), mode=mode) as gateway:
        message = await account.say("one", person=5)
        await account.until(done)
        known = (await account.state())["last"]
        again = {"update_id": known, "message": {**message, "message_id": 99, "text": "another"}}
        for _ in range(2):
            await gateway.telegram.take(gateway.admission, again)
        await account.until(lambda journal: done(journal, 1, "another"))
        assert len(await rows(gateway, "SELECT id FROM turns")) == 2


async def test_an_outage_leaves_a_backlog_that_is_answered(account: Account) -> None:
    """Messages written while the bot was down are answered in order and within the rate limits."""
    await account.say("zero", person=5)  # the chats exist
    for number in range(15):
        await account.say(f"m{number}", person=5 + number % 3)
    async with open_gateway(account, echo(), slots=4):
        journal = await account.until(lambda journal: done(journal, 16))
    for person in (5, 6, 7):
        said = [entry["text"].split()[2] for entry in answers(journal) if entry["chat"] == person]
        assert said == (["zero"] if person == 5 else []) + [f"m{n}" for n in range(15) if 5 + n % 3 == person]
    assert not [entry for entry in journal if entry["do"] == "flood"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "description": "Unauthorized"},
        {"status": 404, "description": "Not Found"},
        {"status": 409, "description": "Conflict: terminated by other getUpdates request"},
        {"status": 500},
        {"status": 502, "description": "Bad Gateway"},
        {"retry_after": 3},
        {"kind": "cut"},
    ],
    ids=str,
)
async def test_polling_survives(account: Account, fault: dict[str, Any]) -> None:
    """A refused token, a conflict or a broken server does not end polling, and health reports it."""
    async with open_gateway(account, echo()) as gateway:
        await account.say("before", person=5)
        await account.until(done)
        assert gateway.telegram.health().connected
        await account.faults({"kind": "error", "method": "getUpdates", "times": 3, **fault})
        await account.until(lambda journal: len(calls(journal, "getUpdates")) == 3)
        assert not gateway.telegram.health().connected
        await account.say("after", person=5)
        await account.until(lambda journal: done(journal, 1, "after"))
        await account.until(lambda journal: [e for e in journal if e["do"] == "confirmed"])
        assert gateway.telegram.health().connected


@pytest.mark.parametrize("mode", MODES)
async def test_a_revoked_token_is_noticed_within_a_minute(account: Account, store: Store, mode: str) -> None:
    """If Telegram refuses the token later, health says so within a minute; after ten the front end ends."""
    clock = ManualClock()
    given = {"token": account.token, "base_url": account.base_url, "mode": mode, "webhook_url": "http://127.0.0.1:9"}
    async with open_telegram(TelegramSettings.model_validate(given), clock, Timeouts(poll=0, read=2)) as telegram:
        running = asyncio.create_task(telegram.run(Admission(store, clock, LIMITS, Idle())))
        await account.until(lambda journal: sum(entry["do"] == "commands" for entry in journal) == 3)
        assert telegram.health().connected
        await account.faults({"kind": "error", "method": "*", "times": 999, "status": 401})
        while telegram.health().connected:
            await next_pause(clock, running)
        assert clock.monotonic() <= 61  # with the first pause of the back-off
        while not running.done():
            await next_pause(clock, running)
        assert 600 <= clock.monotonic() <= 700
        assert not telegram.health().connected
        with pytest.raises(ConfigError, match=r"^telegram\.token: "):
            running.result()


class Idle:
    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


async def next_pause(clock: ManualClock, running: asyncio.Task[None]) -> None:
    """Let a front end run until it has waited once more, or has ended."""
    sleeping = asyncio.create_task(clock.until_sleeping())
    await asyncio.wait([running, sleeping], return_when=asyncio.FIRST_COMPLETED)
    sleeping.cancel()
    clock.advance(min(sleeping.result()) if sleeping.done() else 0)
    await asyncio.sleep(0)


async def test_polling_survives_silence(account: Account) -> None:
    """A request for updates without a response times out and is repeated."""
    async with open_gateway(account, echo(), timeouts=Timeouts(poll=0, read=0.2)):
        await account.say("before", person=5)
        await account.until(done)
        await account.faults({"kind": "silence", "method": "getUpdates"})
        await account.say("after", person=5)
        await account.until(lambda journal: done(journal, 1, "after"))


@pytest.mark.parametrize(
    "fault",
    [{"status": 401}, {"status": 404}, {"status": 429}, {"status": 500}, {"status": 502}, {"kind": "cut"}],
    ids=str,
)
async def test_a_bad_start_is_survived(account: Account, fault: dict[str, Any]) -> None:
    """If Telegram fails at the start, getMe is repeated until it succeeds."""
    await account.faults({"kind": "error", "method": "getMe", "times": 3, **fault})
    async with open_gateway(account, echo()):
        await account.say("hello", person=5)
        await account.until(done)


async def test_a_malformed_update_is_skipped(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """A malformed update is logged with its number, and the updates after it are accepted."""
    async with open_gateway(account, echo()):
        await account.raw({"update_id": 4_001, "message": {"message_id": "nonsense", "date": -1}})
        await account.raw({"update_id": 4_002, "message": [], "unheard_of": {"deep": [{}]}})
        await account.say("hello", person=5)
        await account.until(done)
    assert "update=4001" in capsys.readouterr().out


async def test_polling_removes_an_earlier_webhook(account: Account) -> None:
    """Polling removes an earlier webhook, and updates that wait are kept."""
    await account.raw({"update_id": 900, "message": {}})
    async with open_gateway(account, mode="webhook", webhook_url="http://127.0.0.1:9"):
        await account.until(lambda journal: [e for e in journal if e["do"] == "webhook" and e["url"]])
        await account.say("hello", person=5)
    async with open_gateway(account, echo()):
        await account.until(done)


async def test_a_webhook_taken_away_is_set_again(account: Account) -> None:
    """A webhook that another program removed is set again within a minute."""
    async with open_gateway(account, echo(), mode="webhook"):
        await account.until(lambda journal: [e for e in journal if e["do"] == "webhook"])
        async with httpx.AsyncClient(base_url=account.base_url, trust_env=False) as http:
            await http.post(f"/bot{account.token}/deleteWebhook")
        await account.say("hello", person=5)
        await account.until(done)


async def test_a_second_program_does_not_stop_polling(account: Account) -> None:
    """A second program that takes updates with the same token does not stop the bot."""
    database_of_both = "sqlite://"
    async with open_gateway(account, echo(), database=database_of_both):
        await account.say("one", person=5)
        await account.until(done)
        async with httpx.AsyncClient(base_url=account.base_url, trust_env=False, timeout=20) as http:
            answer = await http.post(f"/bot{account.token}/getUpdates", data={"timeout": 0})
            assert answer.status_code == 200
        await account.say("two", person=5)
        await account.until(lambda journal: done(journal, 1, "two"))


async def test_smaller_update_numbers_are_accepted_after_a_pause(account: Account) -> None:
    """An update with a smaller number than before is accepted, since Telegram may number anew after a week."""
    async with open_gateway(account, echo()):
        await account.raw({"update_id": 900_000_000, "edited_message": {}})
        await account.until(lambda journal: [e for e in journal if e["do"] == "confirmed"])
        message = await account.say("x", person=5)
        await account.until(done)
        await asked_again(account, 3)
        await account.raw({"update_id": 7, "message": {**message, "message_id": 99, "text": "small"}})
        await account.until(lambda journal: done(journal, 1, "small"))


async def test_an_interrupted_reply_is_written_after_a_restart(account: Account, tmp_path: Path) -> None:
    """A reply that a shutdown interrupts is written into the same message by the next process."""
    database = f"sqlite:///{tmp_path}/parley.db"
    group = {"id": -100, "type": "group", "title": "g"}

    async def interrupted() -> None:
        async with open_gateway(account, ScriptedEngine.hanging(2), database=database):
            await account.say(f"@{account.username} hello", chat=group)
            await account.until(lambda journal: len(shown(journal)) == 2)
            raise ConnectionAbortedError

    with pytest.raises(BaseExceptionGroup):
        await interrupted()
    async with open_gateway(account, echo(), database=database):
        journal = await account.until(done)
    assert {entry["message"] for entry in shown(journal)} == {answers(journal)[0]["message"]}


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_as_before")
async def test_no_log_holds_the_token(account: Account, capfd: pytest.CaptureFixture[str]) -> None:
    """No log holds the token, at level debug and during failures."""
    configure_logs("debug")
    await account.faults(
        {"kind": "error", "method": "getMe", "status": 401}, {"kind": "error", "method": "getUpdates", "status": 500}
    )
    async with open_gateway(account, echo()):
        await account.say("hello", person=5)
        await account.until(done)
    written = capfd.readouterr()
    assert "platform does not answer" in written.err
    assert "canary" not in written.out + written.err


@pytest.mark.parametrize("settings", [{"token": "nonsense"}, {"token": "12:"}, {"mode": "webhook", "webhook_url": ""}])
async def test_unusable_settings_are_config_errors(account: Account, settings: dict[str, Any]) -> None:
    """A malformed token or a webhook without an address is a ConfigError that does not quote the token."""
    with pytest.raises(ConfigError) as caught:
        async with open_gateway(account, **settings):
            pass
    assert "nonsense" not in str(caught.value)


async def test_a_webhook_checks_secret_size_and_json(account: Account) -> None:
    """The webhook answers 401 without the secret, 400 to invalid JSON, 413 to a large body, and 200 to an update."""
    async with open_gateway(account, echo(), mode="webhook", webhook_secret=SECRET) as gateway:
        journal = await account.until(lambda journal: [e for e in journal if e["do"] == "webhook"])
        url = next(entry["url"] for entry in journal if entry["do"] == "webhook")
        assert url.endswith(PATH)
        message = {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}, "text": "forged"}
        update = {"update_id": 1, "message": {**message, "from": {"id": 5}}}
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(url, json=update)).status_code == 401
            for wrong in (b"", b"wrong", SECRET[:-1].encode(), "sécret".encode()):
                answer = await http.post(url, json=update, headers={HEADER.encode(): wrong})
                assert answer.status_code == 401
            known = {HEADER: SECRET}
            bombs = [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"update_id": ' + b"9" * 5_000 + b"}"]
            assert [(await http.post(url, content=bomb, headers=known)).status_code for bomb in bombs] == [400] * 5
            assert (await http.post(url, content=b" " * (MAX_BYTES + 1), headers=known)).status_code == 413
            assert (await http.get(url, headers=known)).status_code == 405
            poisons: tuple[object, ...] = ([], 7, {"update_id": 2, "message": 3})
            for poison in poisons:
                assert (await http.post(url, json=poison, headers=known)).status_code == 200
        assert await rows(gateway, "SELECT * FROM turns") == []


async def test_a_webhook_takes_nothing_before_the_bot_knows_its_name(account: Account) -> None:
    """An update that comes before getMe is answered gets 503, since the bot cannot recognise a mention yet."""
    room = {"id": -100, "type": "group", "title": "g"}
    message = {"message_id": 1, "date": 1, "chat": room, "from": {"id": 5}, "text": f"@{account.username} hello"}
    message["entities"] = [{"type": "mention", "offset": 0, "length": len(account.username) + 1}]
    update = {"update_id": 1, "message": message}
    await account.faults({"kind": "error", "method": "getMe", "times": 1000})
    async with open_gateway(account, echo(), mode="webhook", webhook_secret=SECRET) as gateway:
        routed = httpx.ASGITransport(Starlette(routes=gateway.telegram.routes(gateway.admission)))
        async with httpx.AsyncClient(transport=routed, base_url="http://bot") as http:
            assert (await http.post(PATH, json=update, headers={HEADER: SECRET})).status_code == 503
            await account.faults()
            await account.until(lambda journal: [e for e in journal if e["do"] == "webhook"])
            assert (await http.post(PATH, json=update, headers={HEADER: SECRET})).status_code == 200
        assert len(await rows(gateway, "SELECT * FROM turns")) == 1


async def test_a_webhook_has_a_secret_of_its_own(account: Account) -> None:
    """Without a configured secret the webhook uses one that is derived from the token."""
    async with open_gateway(account, echo(), mode="webhook"):
        journal = await account.until(lambda journal: [e for e in journal if e["do"] == "webhook"])
        url = next(entry["url"] for entry in journal if entry["do"] == "webhook")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(url, json={"update_id": 1})).status_code == 401
        await account.say("hello", person=5)
        await account.until(done)


async def test_the_bots_name_is_asked_for_now_and_then(account: Account) -> None:
    """Messages that name others have the bot's name asked for again, once in a while; a failure changes nothing."""
    group = {"id": -100, "type": "group", "title": "g"}
    clock = ManualClock()
    async with open_gateway(account, echo(), mode="webhook", clock=clock) as gateway:
        await account.until(lambda journal: calls(journal, "setWebhook"))

        async def asked_after(text: str) -> int:
            told = {"message_id": 1, "from": {"id": 5}, "chat": group, "date": 1, "text": text}
            update = {"update_id": 1, "message": {**told, "entities": entities(text)}}
            await gateway.telegram.take(gateway.admission, update)
            return len(calls(await account.journal(), "getMe"))

        assert await asked_after(f"hello all, hello @{account.username}") == 1
        await account.faults({"method": "getMe", "kind": "error", "status": 500, "times": 1})
        assert await asked_after("hello @AnotherBot") == 2
        clock.advance(NAME_CHECK_SECONDS - 1)
        assert await asked_after("hello @AnotherBot") == 2
        clock.advance(1)
        assert await asked_after("/help@AnotherBot") == 3
        assert await asked_after("/help@AnotherBot") == 3
        clock.advance(NAME_CHECK_SECONDS)
        assert await asked_after("/help") == 3


async def test_intake_goes_on_while_the_model_thinks(account: Account) -> None:
    """Updates are accepted while the model writes a reply."""
    engine = ScriptedEngine.hanging(1)
    async with asyncio.timeout(30), open_gateway(account, engine) as gateway:
        await account.say("slow", person=5)
        await account.until(lambda journal: [e for e in journal if e["do"] == "draft" and e["text"]])
        await account.say("more", person=6)
        while len(await rows(gateway, "SELECT id FROM turns")) < 2:
            await asyncio.sleep(0.01)
        await account.say("/stop", person=5)
        await account.say("/stop", person=6)
        await account.until(lambda journal: len([e for e in shown(journal) if e["do"] == "edit"]) >= 4)


@pytest.mark.parametrize("mode", MODES)
async def test_the_list_of_update_kinds_is_always_sent(account: Account, mode: str) -> None:
    """The bot always sends its list of update kinds, since Telegram otherwise keeps the list of an earlier program."""
    async with httpx.AsyncClient(base_url=account.base_url, trust_env=False) as http:
        asked = {"url": "http://127.0.0.1:9", "allowed_updates": '["channel_post"]'}
        await http.post(f"/bot{account.token}/setWebhook", data=asked)
    async with open_gateway(account, echo(), mode=mode) as gateway:
        while not gateway.telegram.health().connected:
            await asyncio.sleep(0.01)
        while (await account.state())["allowed"] != ["callback_query", "edited_message", "message", "my_chat_member"]:
            await asyncio.sleep(0.01)
        await account.say("hello", person=5)
        await account.until(done)
