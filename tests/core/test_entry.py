"""A stranger asks to be let in, and administrators decide."""

from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa

from core import entry, presses
from core.accepting import Accepted, Ignored, Refused
from core.admission import Admission
from core.buttons import Press
from core.chat import chatbot
from core.clock import ManualClock
from core.delivery import Claim
from core.engine.scripted import ScriptedEngine
from core.entry import ASK_EVERY, HOUR
from core.messages import ConversationKey, Edit, Kind, Person, Reply, Turn
from core.presses import Action
from core.prompt import Persona
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import Store, history, people, schema, totals, turns
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import chat_with, limits_with, unthrottled_with

ADMINS = frozenset({"test:boss", "elsewhere:Chief"})
LIMITS = unthrottled_with(max_queued=1_000, allow=frozenset({"test:boss"}), admins=ADMINS, asks_admins=True)
KEEPING = Keeping(max_tokens=1000, shared=False)
FRONTS = ("test/w", "elsewhere/e")


@dataclass(slots=True, kw_only=True)
class Door:
    """Admission, and the worker by hand."""

    store: Store
    clock: ManualClock
    write: Write
    admission: Admission
    persona: Persona

    async def knock(self, who: str = "eve", text: str = "let me in", name: str = "Eve") -> Accepted | Refused:
        message = self.write(text, who=who)
        sender = replace(message.sender, display_name=name)
        outcome = await self.admission.accept(replace(message, sender=sender))
        assert isinstance(outcome, Accepted | Refused)
        return outcome

    async def answered(self) -> list[Claim]:
        """The turns that are answered and not delivered yet, without refusals; they count as delivered now."""
        found = []
        lease = Lease(owner="me", now=self.clock.now(), until=self.clock.now() + 10)
        while claim := await self.store.run(turns.claim_answered, lease, FRONTS):
            await self.store.run(turns.mark_delivered, claim, "me")
            found.append(claim)
        return [claim for claim in found if claim.reply and not claim.reply.error]

    async def work(self) -> Reply:
        """Carry out the next turn."""
        lease = Lease(owner="me", now=self.clock.now(), until=self.clock.now() + 10)
        claim = await self.store.run(turns.claim_waiting, lease, FRONTS)
        assert claim is not None
        engine = ScriptedEngine.fixed("ok")
        answers = AnswerCache(size=1, ttl=1, timer=self.clock.monotonic)
        options = chat_with(persona=self.persona, admins=ADMINS)
        bot = chatbot(self.store, engine, MoodReader(engine), answers, self.clock, options)
        reply = await bot(Turn(id=claim.id, message=claim.message, locale=claim.locale, sink=_nowhere))
        await self.store.run(turns.finish, claim, "me", reply, self.clock.now(), KEEPING)
        await self.store.run(turns.mark_delivered, claim, "me")
        return reply

    async def press(self, action: Action, asked: Claim) -> None:
        there = asked.message.conversation
        press = Press(
            event_keys=(f"{asked.id} {action} {self.clock.now()}",),
            person=asked.message.sender,
            conversation=there,
            turn_id=asked.id,
        )
        receipt = await self.admission.press(action, press)
        assert receipt.error == ""

    async def say(self, text: str, who: str = "boss") -> str:
        assert isinstance(await self.knock(who, text), Accepted)
        await self.answered()
        return (await self.work()).text


async def _nowhere(_piece: str) -> None:
    """Show no preview."""


class Idle:
    """A workforce that does nothing."""

    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


@pytest.fixture
def door(store: Store, clock: ManualClock, write: Write, persona: Persona) -> Door:
    admission = Admission(store, clock, LIMITS, Idle())
    return Door(store=store, clock=clock, write=write, admission=admission, persona=persona)


async def test_administrators_are_asked_about_a_stranger(door: Door) -> None:
    """A stranger is told that an administrator was asked, who gets their name and platform, with two buttons."""
    outcome = await door.knock()
    assert isinstance(outcome, Refused)
    assert "asked an administrator" in outcome.notice.text
    (asked,) = await door.answered()
    assert str(asked.message.conversation) == "test/w/boss/"
    assert asked.reply is not None
    assert asked.reply.text.startswith("Eve (test:eve) would like to talk with me.")
    assert asked.yes_or_no(asked.reply) == ("Let in", "Refuse")
    assert asked.is_personal


async def test_an_administrator_elsewhere_is_asked_if_they_are_known(door: Door) -> None:
    """An administrator on another platform is asked in their private chat there, once they have written."""
    chief = Person(platform="elsewhere", workspace="e", id="Chief", locale="zh")
    await door.store.run(people.find_or_add, chief)
    await door.knock()
    found = {str(asked.message.conversation): asked.locale for asked in await door.answered()}
    assert found == {"test/w/boss/": "en", "elsewhere/e/Chief/": "zh"}


async def test_a_stranger_asks_once_a_day(door: Door) -> None:
    """Further messages of the same stranger ask nobody within a day, and another stranger's do."""
    await door.knock()
    door.clock.advance(ASK_EVERY - 1)
    await door.knock()
    assert len(await door.answered()) == 1
    await door.knock("mallory")
    door.clock.advance(1)
    await door.knock()
    assert [asked.message.text for asked in await door.answered()] == ["/access test:mallory", "/access test:eve"]


async def test_who_is_let_in_may_talk_from_then_on(door: Door) -> None:
    """After "Let in" the stranger is answered, by a process that starts later too, until they are shut out again."""
    await door.knock()
    (asked,) = await door.answered()
    await door.press(presses.yes, asked)
    assert (await door.work()).text == "test:eve may talk with me from now on."
    later = replace(door, admission=Admission(door.store, door.clock, LIMITS, Idle()))
    assert await later.say("hello", who="eve") == "ok"
    eve, here = (
        Person(platform="test", workspace="w", id="eve"),
        ConversationKey(platform="test", workspace="w", chat="c"),
    )
    assert await later.admission.allows(eve, here)
    assert "test:eve" in await later.say("/access")
    assert "may not talk" in await later.say("/access TEST:Eve no")
    assert isinstance(await later.knock(), Refused)
    assert not await later.admission.allows(eve, here)
    assert "Nobody" in await later.say("/access")


async def test_who_is_let_in_is_told_once(door: Door) -> None:
    """After the first "Let in" the stranger gets one message in their private chat; a second one says nothing."""
    await door.knock()
    (asked,) = await door.answered()
    await door.press(presses.yes, asked)
    await door.work()
    (told,) = await door.answered()
    assert str(told.message.conversation) == "test/w/eve/"
    assert told.reply is not None
    assert told.reply.text == "You may talk with me now: an administrator has let you in."
    assert told.is_personal
    assert told.yes_or_no(told.reply) is None
    assert "may talk" in await door.say("/access test:eve yes")
    assert await door.answered() == []


async def test_who_is_shut_out_is_told_nothing(door: Door) -> None:
    """A refusal is not announced, and neither is anything to a chat in whose name somebody writes."""
    for who, word in (("eve", "no"), ("chat:-100", "yes")):
        await door.knock(who)
        await door.say(f"/access test:{who} {word}")
        assert await door.answered() == []


async def test_a_crowd_is_summed_up(door: Door) -> None:
    """Within an hour five strangers are asked about, and the sixth with a word about the rest, who may return."""
    for number in range(9):
        outcome = await door.knock(f"eve{number}")
        assert isinstance(outcome, Refused)
        assert ("asked an administrator" in outcome.notice.text) == (number < 6)
        door.clock.advance(1)
    asked = [claim.reply.text for claim in await door.answered() if claim.reply]
    assert ["Others may want in" in text for text in asked] == [False] * 5 + [True]
    door.clock.advance(HOUR)
    await door.knock("eve8")
    assert [claim.message.text for claim in await door.answered()] == ["/access test:eve8"]


async def test_who_is_refused_asks_no_more(door: Door) -> None:
    """After "Refuse" the stranger gets the ordinary notice, and nobody is asked about them again."""
    await door.knock()
    (asked,) = await door.answered()
    await door.press(presses.no, asked)
    await door.work()
    door.clock.advance(2 * ASK_EVERY)
    outcome = await door.knock()
    assert isinstance(outcome, Refused)
    assert "access.allow" in outcome.notice.text
    assert await door.answered() == []


async def test_forgetting_changes_no_decision(door: Door) -> None:
    """A person who was let in and has all forgotten is still let in."""
    await door.knock()
    assert "may talk" in await door.say("/access test:eve yes")
    assert "deleted" in await door.say("/forget yes", who="eve")
    assert isinstance(await door.knock(), Accepted)


def opened(door: Door, *allow: str, **changes: object) -> Door:
    """The door of a bot to which all may talk."""
    limits = replace(LIMITS, allow=frozenset({"test:*", *allow}), **changes)  # type: ignore[arg-type]  # of limits
    return replace(door, admission=Admission(door.store, door.clock, limits, Idle()))


async def shut_out(door: Door, who: str = "eve") -> Person:
    person = Person(platform="test", workspace="w", id=who)
    await door.store.run(entry.decide, person, False, door.clock.now())  # noqa: FBT003
    return person


async def test_who_is_shut_out_of_an_open_place_does_nothing_there(door: Door) -> None:
    """Their messages are refused, their edits and openings have no effect, and others are served as before."""
    door = opened(door)
    first = replace(door.write("hello", who="eve"), sent_at=door.clock.now())
    assert isinstance(await door.admission.accept(first), Accepted)
    await door.work()
    eve = await shut_out(door)
    outcome = await door.knock()
    assert isinstance(outcome, Refused)
    assert outcome.notice.error == "not_allowed"
    edit = Edit(event_keys=("edit",), message=replace(first, text="hello again", edited_at=1.0))
    assert await door.admission.edit(edit) == Ignored()
    assert not await door.admission.allows(eve, first.conversation)
    assert isinstance(await door.knock("bob"), Accepted)


@pytest.mark.parametrize("kind", [Kind.PRIVATE, Kind.GROUP])
@pytest.mark.parametrize("is_out", [True, False])
async def test_who_is_shut_out_opens_no_chat(door: Door, kind: Kind, *, is_out: bool) -> None:
    """Neither their own chat nor a group to which they add the bot is greeted."""
    door = opened(door)
    opening = replace(door.write("/start", who="eve", chat="new"), kind=kind)
    if is_out:
        await shut_out(door)
    await door.admission.greet(opening)
    assert await door.store.read(history.has_taken_part, opening.conversation) != is_out


async def test_who_is_shut_out_presses_no_button(door: Door) -> None:
    """A vote of theirs does not count, and the receipt says why."""
    door = opened(door)
    accepted = await door.knock()
    await door.work()
    eve = await shut_out(door)
    place = ConversationKey(platform="test", workspace="w", chat="eve")
    press = Press(event_keys=("vote",), person=eve, conversation=place, turn_id=accepted.turn_id or 0)
    receipt = await door.admission.press(presses.vote_up, press)
    assert receipt.error == "not_allowed"
    assert (await door.store.read(totals.totals, None)).up == 0


async def test_who_is_shut_out_is_told_once_a_minute(door: Door) -> None:
    """A flood of messages gets one notice, and asks no administrator."""
    door = opened(door)
    await shut_out(door)
    notices = [(await door.knock()).turn_id is not None for _ in range(5)]
    assert notices == [True, False, False, False, False]
    assert await door.answered() == []


async def test_what_was_asked_before_the_no_is_answered(door: Door) -> None:
    """A message that waited when its sender was shut out gets its answer."""
    door = opened(door)
    await door.knock()
    await shut_out(door)
    assert (await door.work()).text == "ok"


async def test_who_is_shut_out_can_be_forgotten(door: Door) -> None:
    """They may have everything deleted, by a button too. Then they are shut out still, until an administrator lets them
    in.
    """
    door = opened(door)
    await door.knock()
    await door.work()
    eve = await shut_out(door)
    assert isinstance(await door.knock(text="/forget yes please"), Refused)
    asked = await door.knock(text="/forget")
    assert isinstance(asked, Accepted)
    assert "delete everything" in (await door.work()).text
    place = ConversationKey(platform="test", workspace="w", chat="eve")
    press = Press(event_keys=("1",), person=eve, conversation=place, turn_id=asked.turn_id, words="tell me a joke")
    for action in (presses.again, presses.ask, presses.stop):
        assert (await door.admission.press(action, press)).error == "not_allowed"
    assert (await door.admission.press(presses.yes, press)).error == ""
    assert "deleted" in (await door.work()).text
    await door.answered()
    assert await door.store.read(lambda c: c.execute(sa.select(schema.people)).all()) == []
    assert isinstance(await door.knock(), Refused)
    await door.store.run(entry.decide, eve, True, door.clock.now())  # noqa: FBT003
    assert isinstance(await door.knock(), Accepted)


async def test_a_stranger_cannot_be_forgotten(door: Door) -> None:
    """Only those who were shut out have this word; to a stranger there is nothing to delete but their id."""
    assert isinstance(await door.knock(text="/forget"), Refused)


async def test_a_decision_about_a_person_who_was_forgotten_counts(door: Door) -> None:
    """Their row is made again, or the decision would be lost."""
    await shut_out(door)
    assert isinstance(await opened(door).knock(), Refused)


@pytest.mark.parametrize("name", ["allow", "admins"])
async def test_a_name_in_the_configuration_is_not_shut_out(door: Door, name: str) -> None:
    """What the operator has written into the settings is not overruled from a chat."""
    door = opened(door, "test:eve") if name == "allow" else opened(door, admins=frozenset({"test:eve"}))
    await shut_out(door)
    assert isinstance(await door.knock(), Accepted)


@pytest.mark.parametrize("typed", ["/access", "/access test:eve", "/access test:eve yes"])
async def test_only_administrators_decide(door: Door, typed: str) -> None:
    """For others there is no such command."""
    await door.knock()
    await door.say("/access test:eve yes")
    assert "do not know /access" in await door.say(typed.replace("eve", "mallory"), who="eve")
    assert isinstance(await door.knock("mallory"), Refused)


async def test_a_command_asks_about_a_person_too(door: Door) -> None:
    """/access with a person asks as the bot does, and about a person that it has never heard of it says so."""
    await door.knock()
    assert "May test:eve talk with me?" in await door.say("/access test:eve")
    assert "not heard from test:nobody" in await door.say("/access test:nobody yes")


@pytest.mark.parametrize(("asks", "says"), [(False, "access.allow"), (True, "asked an administrator")])
async def test_nobody_is_asked_by_default(door: Door, *, asks: bool, says: str) -> None:
    """Without access.ask a stranger is refused, and administrators are left alone."""
    door.admission = Admission(door.store, door.clock, replace(LIMITS, asks_admins=asks), Idle())
    outcome = await door.knock()
    assert isinstance(outcome, Refused)
    assert says in outcome.notice.text
    assert len(await door.answered()) == asks
    assert not limits_with().asks_admins


@pytest.mark.parametrize(
    ("name", "shown"), [("", "test:eve"), ("E\n\nve \x00", "E ve (test:eve)"), ("e" * 99, f"{'e' * 64} (test:eve)")]
)
async def test_a_name_cannot_pretend(door: Door, name: str, shown: str) -> None:
    """A name is one short line, and the id stands behind it."""
    await door.knock(name=name)
    (asked,) = await door.answered()
    assert asked.reply is not None
    assert asked.reply.text.startswith(f"{shown} would like")


async def test_a_stranger_leaves_no_words(door: Door) -> None:
    """What a stranger writes is not stored."""
    await door.knock(text="the canary sings")
    assert "canary" not in str(await door.store.run(lambda c: c.execute(sa.text("SELECT * FROM turns")).all()))
