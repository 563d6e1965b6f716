"""Administrators list what was asked in vain, and answer it once."""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import presses
from core.buttons import Press, Receipt
from core.chat import chatbot
from core.clock import ManualClock
from core.delivery import Claim
from core.engine.scripted import ScriptedEngine
from core.intent import Intent, IntentReader
from core.knowledge.knowledge import Knowledge, KnowledgeOptions
from core.knowledge.teaching import FILE
from core.messages import ConversationKey, Locale, Person, Reply, Source, Turn
from core.pipeline import Handler
from core.presses import Action
from core.prompt import Persona
from core.stages.cache import AnswerCache
from core.stages.knowledge import Expertise
from core.stages.mood import MoodReader
from core.store import Store, people, schema, turns
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import chat_with, unthrottled_with

ADMINS = frozenset({"test:boss", "test:chief"})
LIMITS = unthrottled_with(max_queued=1_000, allow=ADMINS, admins=ADMINS)
OLD = 'questions,answer\n"Do you sell umbrellas?","In blue and green."\n'
POOL = "How deep is the pool?"
WORDINGS = [POOL, "How many metres has the pool?"]
ANSWER = "Two metres, and one = for children."
LESSON = f"{' | '.join(WORDINGS)} = {ANSWER}"
KEEPING = Keeping(max_tokens=999, shared=False)


@dataclass(slots=True, kw_only=True)
class Shop:
    """A strict bot with a folder of knowledge, and its worker by hand."""

    store: Store
    clock: ManualClock
    write: Write
    folder: Path
    knowledge: Knowledge
    bot: Handler

    async def say(self, text: str, who: str = "boss", locale: Locale = "en") -> Reply:
        message = self.write(text, who=who)
        person = await self.store.run(people.find_or_add, message.sender)
        await self.store.run(turns.add, person.id, message, locale, self.clock.now())
        return await self.work()

    async def claim(self, owner: str = "me") -> Claim:
        lease = Lease(owner=owner, now=self.clock.now(), until=self.clock.now() + 10)
        claim = await self.store.run(turns.claim_waiting, lease, ["test/w"])
        assert claim is not None
        return claim

    async def answer(self, claim: Claim) -> Reply:
        return await self.bot(Turn(id=claim.id, message=claim.message, locale=claim.locale, sink=_nowhere))

    async def work(self, owner: str = "me") -> Reply:
        """Answer and deliver the next turn."""
        claim = await self.claim(owner)
        reply = await self.answer(claim)
        await self.store.run(turns.finish, claim, owner, reply, self.clock.now(), KEEPING)
        await self.store.run(turns.mark_delivered, claim, owner)
        return reply

    async def asked(self, text: str) -> Claim:
        """The turn of an administrator whom the bot has asked for a yes."""
        await self.say(text)
        return await self.last()

    async def last(self) -> Claim:
        """The turn that was delivered last, with its reply."""
        last = sa.select(schema.turns.c.id).order_by(schema.turns.c.id.desc()).limit(1)
        turn_id = await self.store.run(lambda connection: connection.execute(last).scalar_one())
        row = await self.store.run(lambda c: c.execute(turns.with_senders().where(schema.turns.c.id == turn_id)).one())
        return turns.claim_of(row)

    async def press(self, action: Action, turn_id: int, who: str = "boss") -> Receipt:
        person = Person(platform="test", workspace="w", id=who)
        place = ConversationKey(platform="test", workspace="w", chat=who)
        key = f"{action} {turn_id} {self.clock.now()}"
        press = Press(event_keys=(key,), person=person, conversation=place, turn_id=turn_id)
        return await self.store.run(presses.carry_out, action, press, LIMITS, self.clock.now())

    async def gap(self, *texts: str) -> int:
        """The number of a gap that consists of these questions of customers."""
        for number, text in enumerate(texts or (POOL,)):
            assert (await self.say(text, who=f"ann{number}")).error == "not_known"
        listed = (await self.say("/gaps")).text.splitlines()[1]
        return int(listed.partition(":")[0])

    def taught(self) -> str:
        file = self.folder / FILE
        return file.read_text("utf-8") if file.exists() else ""


async def _nowhere(_piece: str) -> None:
    """Show no preview."""


@pytest.fixture
def shop(sqlite_store: Store, clock: ManualClock, write: Write, persona: Persona, tmp_path: Path) -> Shop:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "old.csv").write_text(OLD)
    engine = ScriptedEngine.fixed("I made this up.")
    engine.intent = lambda _: Intent.QUESTION
    knowledge = Knowledge.read(KnowledgeOptions(folder=folder, index_path=tmp_path / "index", embedder=None))
    expertise = Expertise(knowledge=knowledge, folder=folder, intents=IntentReader(engine), strict=True)
    answers = AnswerCache(size=1, ttl=1, timer=clock.monotonic)
    chat = chat_with(persona=persona, admins=ADMINS)
    bot = chatbot(sqlite_store, engine, MoodReader(engine), answers, clock, chat, expertise=expertise)
    return Shop(store=sqlite_store, clock=clock, write=write, folder=folder, knowledge=knowledge, bot=bot)


async def test_a_gap_is_answered_once_and_for_all(shop: Shop) -> None:
    """What was asked in vain is listed, taught after a yes, and then said word for word; the list is empty."""
    number = await shop.gap(POOL, "how deep is your pool?")
    shown = (await shop.say(f"/teach {number}")).text
    assert shown.startswith("Asked 2 ×, in these words:\nhow deep is your pool?\nHow deep is the pool?\n")
    asked = await shop.asked(f"/teach {number} {LESSON}")
    assert asked.reply is not None
    assert asked.yes_or_no(asked.reply) == ("Yes, learn it", "No")
    assert f"(English):\n\n{POOL}\nHow many metres has the pool?\n=\n{ANSWER}\n\n" in asked.reply.text
    assert shop.taught() == ""
    assert (await shop.press(presses.yes, asked.id)).is_work
    assert (await shop.work()).text.startswith("Learned:")
    assert await shop.knowledge.refresh()
    reply = await shop.say("how many metres has the POOL", who="bob")
    assert (reply.text, reply.source) == (ANSWER, Source.KNOWLEDGE)
    assert (await shop.say("/gaps")).text == "There is no question without a good answer."


async def test_a_chinese_gap_is_answered_in_chinese(shop: Shop) -> None:
    """The signs of a Chinese keyboard separate wordings and answer too."""
    await shop.say("泳池有多深？", who="ann", locale="zh")
    listed = (await shop.say("/gaps", locale="zh")).text
    number = listed.splitlines()[1].partition("：")[0]
    asked = await shop.say(f"/teach {number} 泳池有多深？｜泳池深度＝两米。", locale="zh")
    assert "（中文）：\n\n泳池有多深？\n泳池深度\n=\n两米。" in asked.text
    assert "记住了" in (await shop.say(f"/teach yes {number} 泳池有多深？｜泳池深度＝两米。", locale="zh")).text
    await shop.knowledge.refresh()
    assert (await shop.say("泳池深度", who="bob", locale="zh")).text == "两米。"


async def test_a_yes_means_what_was_shown(shop: Shop) -> None:
    """Whatever was asked since and however the list has changed, a later process writes the entry that was shown."""
    asked = await shop.asked(f"/teach {await shop.gap()} {LESSON}")
    await shop.gap("Do you rent cars?", "do you rent a car?")
    assert await shop.gap(POOL) > asked.id
    await shop.press(presses.yes, asked.id)
    await shop.work()
    assert tomllib.loads(shop.taught()) == {"entry": [{"en": {"questions": WORDINGS, "answer": ANSWER}}]}


async def test_an_entry_is_tried_before_it_is_learned(shop: Shop) -> None:
    """The administrator is told whether the questions that were asked would be answered, and which one would not."""
    number = await shop.gap(POOL, "how deep is your pool?", "HOW deep is your pool?")
    assert "it answers all that was asked here" in (await shop.say(f"/teach {number} {LESSON}")).text
    missed = (await shop.say(f"/teach {number} May I dive? = Two metres.")).text
    assert "of 2 wordings in which this was asked it would miss 2, such as “HOW deep is your pool?”" in missed


async def test_a_no_writes_nothing(shop: Shop) -> None:
    """The administrator is told so."""
    asked = await shop.asked(f"/teach {await shop.gap()} {LESSON}")
    await shop.press(presses.no, asked.id)
    assert (await shop.work()).text == "Good, I have learned nothing."
    assert shop.taught() == ""


async def test_an_answer_may_end_in_yes(shop: Shop) -> None:
    """A yes counts before the number only: behind it, it is a word of the answer."""
    number = await shop.gap()
    assert "=\nyes\n" in (await shop.say(f"/teach {number} Is the pool deep? = yes")).text
    assert shop.taught() == ""


async def test_a_crash_before_the_commit_writes_nothing_twice(shop: Shop) -> None:
    """A process that is killed between writing and committing its reply has written; the next one says so."""
    asked = await shop.asked(f"/teach {await shop.gap()} {LESSON}")
    await shop.press(presses.yes, asked.id)
    await shop.answer(await shop.claim("the killed one"))
    written = shop.taught()
    await shop.knowledge.refresh()
    shop.clock.advance(11)
    assert (await shop.work("the next one")).text.startswith("Learned:")
    assert shop.taught() == written != ""


@pytest.mark.parametrize(("wording", "is_read"), [("How deep is your pool, please?", True), (POOL, False)])
async def test_what_another_administrator_has_answered_is_left(shop: Shop, wording: str, *, is_read: bool) -> None:
    """A yes after another answer to the gap writes nothing, nor before that is read if the wording is the same."""
    number = await shop.gap()
    asked = await shop.asked(f"/teach {number} {LESSON}")
    assert "Learned" in (await shop.say(f"/teach yes {number} {wording} = Three metres.", who="chief")).text
    if is_read:
        await shop.knowledge.refresh()
    await shop.press(presses.yes, asked.id)
    reply = await shop.work()
    assert (reply.error, reply.text[-13:]) == ("answered_already", "Three metres.")
    assert ANSWER not in shop.taught()


async def test_others_know_nothing_of_it(shop: Shop) -> None:
    """Customers can neither list nor teach, not even as if they had been asked."""
    number = await shop.gap()
    for text in ("/gaps", f"/teach {number}", f"/teach yes {number} {LESSON}"):
        assert "I do not know /" in (await shop.say(text, who="eve")).text
    assert shop.taught() == ""


async def test_only_questions_in_vain_are_shown(shop: Shop) -> None:
    """The number of another message shows nothing of it, and neither does one that was forgotten."""
    number = await shop.gap()
    await shop.say("Do you sell umbrellas?", who="bob")
    bobs = (await shop.last()).id
    assert (await shop.say(f"/teach {bobs}")).error == "gap_unknown"
    await shop.say("/forget yes", who="ann0")
    assert (await shop.say(f"/teach {number}")).error == "gap_unknown"
    assert (await shop.say(f"/teach yes {number} {LESSON}")).error == "gap_unknown"
    assert shop.taught() == ""


async def test_a_forgotten_customers_words_go_from_the_administrators_chat(shop: Shop) -> None:
    """What administrators were shown of gaps is deleted when the customer has everything deleted."""
    number = await shop.gap("Where is my canary?")
    await shop.say(f"/TEACH {number}")
    await shop.say("/forget yes", who="ann0")
    rows = await shop.store.run(lambda c: c.execute(sa.text("SELECT text, reply FROM turns")).all())
    assert "canary" not in str(rows)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "misused"),
        ("nothing", "misused"),
        ("{} How deep?", "misused"),
        ("{} = Two metres.", "misused"),
        ("{} How deep? =", "misused"),
        ("999 How deep? = Two metres.", "gap_unknown"),
        ("{} Do you sell umbrellas? = No.", "answered_already"),
        ("{} How deep? = " + "x" * 2_000, "too_long"),
    ],
)
async def test_what_cannot_be_taught_is_refused(shop: Shop, text: str, error: str) -> None:
    """The refusal says why, and has no buttons."""
    asked = await shop.asked(f"/teach {text.format(await shop.gap())}")
    assert asked.reply is not None
    assert (asked.reply.error, asked.yes_or_no(asked.reply)) == (error, None)


async def test_a_folder_that_is_gone_is_named(shop: Shop) -> None:
    """The administrator is told what is wrong with the folder, at the question and at the yes."""
    number = await shop.gap()
    shutil.rmtree(shop.folder)
    for word in ("", "yes "):
        reply = await shop.say(f"/teach {word}{number} {LESSON}")
        assert reply.error == "entry_unwritable"
        assert reply.text.endswith("knowledge: is not a folder")


async def test_without_knowledge_there_is_nothing_to_teach(shop: Shop, persona: Persona) -> None:
    """The administrator is told which setting is missing."""
    engine, answers = ScriptedEngine.fixed("ok"), AnswerCache(size=1, ttl=1, timer=shop.clock.monotonic)
    chat = chat_with(persona=persona, admins=ADMINS)
    shop.bot = chatbot(shop.store, engine, MoodReader(engine), answers, shop.clock, chat)
    for text in ("/gaps", "/teach 1 a = b"):
        assert "knowledge.folder is not set" in (await shop.say(text)).text


async def test_a_long_list_is_cut(shop: Shop) -> None:
    """The ten gaps that were asked most are listed."""
    for word in (
        "cars",
        "bikes",
        "boats",
        "skis",
        "tents",
        "kayaks",
        "rooms",
        "horses",
        "towels",
        "lockers",
        "scooters",
    ):
        await shop.gap(f"do you rent {word} {word[::-1]}")
    assert len((await shop.say("/gaps")).text.splitlines()) == 12
