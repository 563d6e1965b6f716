"""The rights and the state of a hand-off, without a platform."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from core import presses
from core.accepting import Accepted, Refused
from core.admission import Admission
from core.buttons import Press
from core.clock import ManualClock
from core.handoff import asking, taking
from core.help_desk import HelpDesk
from core.messages import ConversationKey, Message, Person
from core.store import Store, handoffs
from tests.core.conftest import Write
from tests.options import limits_with

PLACE = ConversationKey(platform="test", workspace="w", chat="desk")
DESK = HelpDesk(place=PLACE, operators=frozenset({"test:bob", "test:eve"}), timeout=60.0)
LIMITS = limits_with(allow=frozenset({"test:ann", "test:bob"}), help_desk=DESK)


class Idle:
    def notify(self) -> None: ...

    def interrupt(self, turn_id: int) -> None: ...


@pytest.fixture
def admission(store: Store, clock: ManualClock) -> Admission:
    return Admission(store, clock, LIMITS, Idle())


@pytest.fixture
async def summary(store: Store, clock: ManualClock, write: Write) -> int:
    """The turn of the button to take over Ann's conversation, whose thread is "7"."""
    await store.run(asking.ask, write("help"), DESK, "en", clock.now())
    await store.run(lambda c: c.execute(sa.text("UPDATE handoffs SET thread = '7'")))
    return int(await store.run(lambda c: c.scalar(sa.text("SELECT max(id) FROM turns"))))


def press(turn_id: int, who: str, *, chat: str = "desk", key: str = "") -> Press:
    place = replace(PLACE, chat=chat, thread="7")
    person = Person(platform="test", workspace="w", id=who)
    return Press(event_keys=(key or f"press {who}",), person=person, conversation=place, turn_id=turn_id)


def at_desk(message: Message) -> Message:
    return replace(message, conversation=replace(PLACE, thread="7"))


async def state(store: Store) -> tuple[str, str]:
    row = await store.run(lambda c: c.execute(sa.text("SELECT state, owner FROM handoffs")).one())
    return row.state, row.owner


async def test_the_first_one_owns_it(store: Store, admission: Admission, summary: int) -> None:
    """Taking over needs that nobody has the conversation; the second operator is told who has it."""
    assert not (await admission.press(presses.take, press(summary, "bob"))).error
    assert (await admission.press(presses.take, press(summary, "eve"))).error == "already_taken"
    assert await state(store) == ("taken", "test/w/bob")


@pytest.mark.parametrize(("who", "chat"), [("ann", "desk"), ("bob", "elsewhere")])
async def test_only_operators_at_the_desk_take_over(
    store: Store, admission: Admission, summary: int, who: str, chat: str
) -> None:
    """A customer cannot, and an operator cannot elsewhere: data of buttons can be sent from anywhere."""
    assert (await admission.press(presses.take, press(summary, who, chat=chat))).error in {
        "not_an_operator",
        "not_allowed",
    }
    assert await state(store) == ("asked", "")


async def test_words_of_others_in_the_thread_are_refused(
    store: Store, admission: Admission, summary: int, write: Write
) -> None:
    """They become no turn, whether or not their author may talk to the bot."""
    for who in ("ann", "mallory"):
        outcome = await admission.overhear(at_desk(write("pay me", who=who)))
        assert isinstance(outcome, Refused)
        assert outcome.turn_id is None
    assert await store.run(lambda c: c.scalar(sa.text("SELECT max(id) FROM turns"))) == summary


async def test_only_the_owner_gives_it_back(store: Store, admission: Admission, summary: int, write: Write) -> None:
    """Another operator's command does nothing to a conversation that has an owner."""
    await admission.press(presses.take, press(summary, "bob"))
    await admission.overhear(at_desk(write("/close", who="eve")))
    assert (await state(store))[0] == "taken"
    await admission.overhear(at_desk(write("/close", who="bob")))
    assert (await state(store))[0] == "closed"


async def test_a_message_is_passed_on_once(store: Store, admission: Admission, summary: int, write: Write) -> None:
    """A message of the owner or of the customer that the platform delivers twice is one turn."""
    await admission.press(presses.take, press(summary, "bob"))
    for message in (at_desk(write("hello", who="bob")), write("hi", who="ann")):
        accept = admission.overhear if message.conversation.chat == "desk" else admission.accept
        assert isinstance(await accept(message), Accepted)
        before = await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns")))
        await accept(message)
        assert await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns"))) == before


async def test_the_owners_words_put_the_end_off(
    store: Store, admission: Admission, summary: int, write: Write, clock: ManualClock
) -> None:
    """The time runs from the owner's last words, not from the customer's."""
    await admission.press(presses.take, press(summary, "bob"))
    clock.advance(50)
    await admission.overhear(at_desk(write("a moment", who="bob")))
    clock.advance(50)
    assert not await store.run(taking.give_back_late, DESK, clock.now())
    await admission.accept(write("hello?", who="ann"))
    clock.advance(11)
    assert await store.run(taking.give_back_late, DESK, clock.now())
    assert (await state(store))[0] == "closed"


@pytest.mark.usefixtures("summary")
async def test_closed_hand_offs_go_with_their_turns(store: Store, admission: Admission, write: Write) -> None:
    """Retention deletes a hand-off once none of its turns is left."""
    await admission.overhear(at_desk(write("/close", who="bob")))
    assert await store.run(handoffs.purge, 1e12, 9) == 0
    await store.run(lambda c: c.execute(sa.text("DELETE FROM turns")))
    assert await store.run(handoffs.purge, 1e12, 9) == 1
