"""What the bot on Telegram says of itself: to a person who opens the chat, to a group, and on its profile."""

from dataclasses import replace
from itertools import count

import pytest

from bots.fronts import Welcome
from core.commands import help_text, start_text
from core.i18n import say
from core.messages import Locale
from tests.bots.telegram.conftest import LIMITS, done, echo, notices, open_gateway, rows
from tests.bots.telegram.test_delivery import ANN, ROOM, texts
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import Json

GROUP: Json = {"id": ROOM, "type": "supergroup", "title": "g"}
PEOPLE = count(900)
QUESTIONS = Welcome(questions={"en": ("How are you?", "What is rain?"), "zh": ("你好吗？",)})


def offers(journal: list[Entry]) -> list[Entry]:
    """The messages with buttons that ask."""
    return [entry for entry in shown(journal) if any(data.startswith("fb:ask") for data in entry["buttons"])]


def greetings(journal: list[Entry]) -> list[str]:
    """The greetings of groups in full."""
    return [text for text in texts(journal, ROOM) if text.endswith("can do.")]


async def faces(account: Account, message: int) -> list[str]:
    kept = {one["message_id"]: one for one in (await account.state())["chats"][str(ANN)]}
    return [button["text"] for row in kept[message]["reply_markup"]["inline_keyboard"] for button in row]


async def settled(account: Account) -> list[Entry]:
    """The journal once everything up to now is done: a message of somebody new is answered."""
    person = next(PEOPLE)
    await account.say("hello", person=person)
    return await account.until(lambda journal: done([entry for entry in journal if entry.get("chat") == person]))


@pytest.mark.parametrize(("locale", "tag"), [("en", "de"), ("zh", "zh-hans")])
async def test_start_says_who_the_bot_is(account: Account, locale: Locale, tag: str) -> None:
    """/start names the bot and its commands, with the first questions of the person's language below it."""
    ann = {"id": ANN, "language_code": tag}
    async with open_gateway(account, welcome=QUESTIONS):
        await account.say("/start", person=ann)
        (offer,) = offers(await account.until(offers))
        assert offer["text"] == start_text("test", locale)
        assert offer["text"].endswith(help_text(locale))
        assert await faces(account, offer["message"]) == list(QUESTIONS.questions[locale])


async def test_a_button_asks_its_question_after_a_restart(account: Account, tmp_path: object) -> None:
    """A press asks the question that people see, whatever the next process would offer, and names it to the person."""
    database = f"sqlite:///{tmp_path}/parley.db"
    async with open_gateway(account, database=database, welcome=QUESTIONS):
        await account.say("/start", person=ANN)
        (offer,) = offers(await account.until(offers))
    async with open_gateway(account, echo(), database=database, welcome=Welcome()) as gateway:
        await account.press(ANN, offer["message"], offer["buttons"][1], person=ANN)
        journal = await account.until(lambda journal: done(journal, 1, "you said What"))
        assert await rows(gateway, "SELECT text, source FROM turns") == [
            ("/start", "command"),
            ("What is rain?", "model"),
        ]
    assert notices(journal) == ["What is rain?"]


async def test_forged_data_asks_nothing(account: Account) -> None:
    """A client can send any data: what stands on no button of the message is not asked, and a wrong seal is ignored."""
    async with open_gateway(account, welcome=QUESTIONS) as gateway:
        await account.say("/start", person=ANN)
        (offer,) = offers(await account.until(offers))
        data = offer["buttons"][0]
        await account.press(ANN, offer["message"], data.replace("ask0", "ask7"), person=ANN)
        await account.press(ANN, offer["message"], data[:-1] + "z", person=ANN)
        journal = await account.until(lambda journal: len(notices(journal)) == 2)
        assert await rows(gateway, "SELECT text FROM turns") == [("/start",)]
    assert sorted(notices(journal)) == ["", say("en", "refusal.question_forgotten")]


async def test_in_a_group_start_has_no_buttons(account: Account) -> None:
    """In a group the buttons would be everybody's, so /start only says who the bot is."""
    async with open_gateway(account, welcome=QUESTIONS):
        await account.say(f"/start@{account.username}", person=ANN, chat=GROUP)
        journal = await account.until(lambda journal: start_text("test", "en") in texts(journal, ROOM))
    assert not [entry for entry in shown(journal) if entry["buttons"]]


@pytest.mark.parametrize("payload", ["abc_DEF-1", "x" * 64, "x" * 65, "../%00<b>", "reset yes"])
async def test_the_word_of_a_link_is_kept_and_does_nothing(account: Account, payload: str) -> None:
    """What stands behind /start comes from whoever made the link: it is stored as said, and carried out by nobody."""
    async with open_gateway(account, welcome=QUESTIONS) as gateway:
        await account.say(f"/start {payload}", person=ANN)
        (offer,) = offers(await account.until(offers))
        assert offer["text"] == start_text("test", "en")
        assert await rows(gateway, "SELECT text FROM turns") == [(f"/start {payload}",)]


@pytest.mark.parametrize(
    ("hears_all", "status", "groups", "key"),
    [
        (False, "member", "mention", "shown"),
        (False, "member", "all", "shown"),
        (True, "member", "mention", "addressed"),
        (True, "member", "all", "all"),
        (False, "administrator", "mention", "addressed"),
        (False, {"status": "restricted", "is_member": True}, "mention", "shown"),
    ],
)
async def test_a_group_is_greeted_with_what_the_bot_sees(
    account: Account,
    hears_all: bool,  # noqa: FBT001  a table of facts
    status: str | Json,
    groups: str,
    key: str,
) -> None:
    """The greeting says which messages Telegram shows the bot, and which it answers."""
    await account.hears_all(hears_all)
    async with open_gateway(account, groups=groups):
        await account.add_bot(GROUP, person=ANN, new=status)
        (greeting,) = greetings(await account.until(greetings))
    said = say("en", f"greeting.{key}", mention=f"@{account.username}", prefix="/")
    assert greeting.replace("\u2060", "") == said


async def test_the_privacy_mode_is_asked_for_at_the_greeting(account: Account) -> None:
    """The operator may have switched it since the bot started."""
    async with open_gateway(account):
        await settled(account)
        await account.hears_all()
        await account.add_bot(GROUP, person=ANN)
        (greeting,) = greetings(await account.until(greetings))
    assert "I see every message" in greeting


async def test_a_group_is_greeted_once(account: Account, tmp_path: object) -> None:
    """Neither the same update again, nor a second time in the group, nor a restart brings another greeting."""
    database = f"sqlite:///{tmp_path}/parley.db"
    async with open_gateway(account, database=database) as gateway:
        change = await account.add_bot(GROUP, person=ANN)
        await account.until(greetings)
        await account.raw({"my_chat_member": change})
        await account.add_bot(GROUP, person=5, old="kicked")
        assert len(greetings(await settled(account))) == 1
        assert (await rows(gateway, "SELECT text, kind FROM turns LIMIT 1")) == [("/start", "group")]
        await gateway.store.run(lambda c: c.exec_driver_sql("DELETE FROM events"))  # as after a month
    async with open_gateway(account, database=database):
        await account.add_bot(GROUP, person=ANN)
        assert len(greetings(await settled(account))) == 1


async def test_a_group_is_not_greeted_again_after_forgetting(account: Account) -> None:
    """If the person who added the bot has everything deleted, the same arrival does not greet anew."""
    async with open_gateway(account) as gateway:
        await account.add_bot(GROUP, person=ANN)
        await account.until(greetings)
        await gateway.store.run(lambda c: c.exec_driver_sql("DELETE FROM turns"))
        await account.add_bot(GROUP, person=ANN)
        assert len(greetings(await settled(account))) == 1


async def test_a_group_where_the_bot_has_spoken_is_not_greeted(account: Account) -> None:
    """A group that knows the bot needs no greeting."""
    async with open_gateway(account):
        await account.say(f"@{account.username} hello", person=ANN, chat=GROUP)
        await account.until(done)
        await account.add_bot(GROUP, person=ANN)
        assert greetings(await settled(account)) == []


@pytest.mark.parametrize("allow", [frozenset[str](), frozenset({f"telegram:{ANN}", "telegram:99"})])
async def test_an_unknown_group_is_not_greeted(account: Account, allow: frozenset[str]) -> None:
    """A group is greeted if all its people may talk to the bot, and not because one of them has added it."""
    async with open_gateway(account, limits=replace(LIMITS, allow=allow)) as gateway:
        await account.add_bot(GROUP, person=ANN)
        await account.say("hello", person=99)
        await account.until(lambda journal: texts(journal, 99))
        assert await rows(gateway, "SELECT kind FROM turns") == [("private",)]
        assert await rows(gateway, "SELECT count(*) FROM people") == [(1,)]


async def test_a_group_in_the_access_list_is_greeted(account: Account) -> None:
    """The group's own entry suffices."""
    async with open_gateway(account, limits=replace(LIMITS, allow=frozenset({f"telegram:chat:{ROOM}"}))):
        await account.add_bot(GROUP, person={"id": 1087968824, "is_bot": True, "first_name": "Group"})
        assert len(greetings(await account.until(greetings))) == 1


@pytest.mark.parametrize(
    ("chat", "old", "new", "groups"),
    [
        (GROUP, "member", "administrator", "mention"),
        (GROUP, "member", "left", "mention"),
        (GROUP, "left", {"status": "restricted", "is_member": False}, "mention"),
        (GROUP, "left", "member", "off"),
        ({"id": -300, "type": "channel", "title": "c"}, "left", "administrator", "mention"),
        ({"id": ANN, "type": "private"}, "kicked", "member", "mention"),
    ],
)
async def test_other_changes_are_no_arrival(account: Account, chat: Json, old: str, new: str, groups: str) -> None:
    """A promotion, a departure, a channel, an unblocked chat, and groups that are off bring no greeting."""
    async with open_gateway(account, groups=groups) as gateway:
        await account.add_bot(chat, person=ANN, old=old, new=new)
        await settled(account)
        assert await rows(gateway, "SELECT text FROM turns") == [("hello",)]


async def test_the_profile_is_set_once(account: Account) -> None:
    """The descriptions are set in each language, and English for all others; a second start changes nothing."""
    for _ in range(2):
        async with open_gateway(account, welcome=Welcome(name="Bob")):
            await settled(account)
    journal = await account.journal()
    for field, key in (("description", "description"), ("short_description", "short")):
        told = {entry["language"]: entry["text"] for entry in journal if entry["do"] == field}
        assert told == {"": say("en", f"profile.{key}", name="Bob"), "zh": say("zh", f"profile.{key}", name="Bob")}
        assert sum(entry["do"] == field for entry in journal) == 2
    state = await account.state()
    assert all(len(text) <= 512 for text in state["descriptions"].values())


async def test_an_operators_own_profile_stays(account: Account) -> None:
    """With telegram.describe off, the descriptions given to @BotFather are neither read nor changed."""
    async with open_gateway(account, describe=False):
        journal = await settled(account)
    assert not [entry for entry in journal if "escription" in entry.get("method", "")]


@pytest.mark.parametrize("method", ["getMyDescription", "setMyShortDescription"])
async def test_a_bot_without_profile_works(account: Account, method: str) -> None:
    """Telegram limits these calls; the bot answers all the same."""
    await account.faults({"kind": "error", "method": method, "retry_after": 60_000})
    async with open_gateway(account):
        await settled(account)


async def test_an_unexpected_fault_in_the_menu_costs_the_menu_only(account: Account) -> None:
    """If the menu cannot be built, the bot answers all the same."""
    broken: Welcome = replace(QUESTIONS, menu=(None,))  # type: ignore[arg-type]  # a fault of our own
    async with open_gateway(account, echo(), welcome=broken):
        await account.say("hello", person=5)
        await account.until(done)
