"""What buttons do: one transaction each, for the person who may."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
import sqlalchemy as sa

from core import presses
from core.accepting import Accepted
from core.admission import Admission
from core.buttons import Press, Receipt
from core.clock import ManualClock
from core.commands import FORGET
from core.delivery import Claim
from core.messages import ConversationKey, Finish, Media, Person, Quote, Relation, Reply, Source
from core.presses import Action
from core.store import Store, history, records, totals, turns
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import limits_with

LIMITS = limits_with(per_minute=6000, burst=1000, max_queued=1000, allow=frozenset({"test:*"}))
KEEPING = Keeping(max_tokens=1000, shared=False)
QUOTE = Quote(relation=Relation.REPLIED, text="a lighthouse")


class Workforce:
    """Records which turns are interrupted. The test does the work."""

    def __init__(self) -> None:
        self.interrupted: list[int] = []

    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        self.interrupted.append(turn_id)


@dataclass(slots=True, kw_only=True)
class Scene:
    """People in chats, and the worker by hand: it answers each question with "answer to" its text."""

    store: Store
    clock: ManualClock
    write: Write
    admission: Admission
    workforce: Workforce
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def ask(self, text: str, who: str = "ann", chat: str = "c", **parts: object) -> int:
        message = replace(self.write(text, who=who, chat=chat), **parts)  # type: ignore[arg-type]  # fields of a message
        outcome = await self.admission.accept(message)
        assert isinstance(outcome, Accepted)
        return outcome.turn_id

    async def claim(self) -> Claim:
        lease = Lease(owner="me", now=self.clock.now(), until=self.clock.now() + 10)
        claim = await self.store.run(turns.claim_waiting, lease, ["test/w"])
        assert claim is not None
        return claim

    async def answer(
        self, *, source: Source = Source.MODEL, tokens: int = 5, suggestions: tuple[str, ...] = ()
    ) -> Claim:
        """Answer the next waiting question, and deliver the answer."""
        claim = await self.claim()
        reply = Reply(text=f"answer to {claim.message.text}", source=source, tokens=tokens, suggestions=suggestions)
        await self.store.run(turns.finish, claim, "me", reply, self.clock.now(), KEEPING)
        await self.store.run(turns.mark_delivered, claim, "me")
        return claim

    async def answered(self, text: str, **where: str) -> int:
        await self.ask(text, **where)
        return (await self.answer()).id

    async def press(
        self, action: Action, turn_id: int, who: str = "ann", chat: str = "c", key: str = "", words: str = ""
    ) -> Receipt:
        press = Press(
            event_keys=(key or f"press {next(self.numbers)}",),
            person=Person(platform="test", workspace="w", id=who),
            conversation=ConversationKey(platform="test", workspace="w", chat=chat),
            turn_id=turn_id,
            reference="pressed here",
            words=words,
        )
        return await self.admission.press(action, press)

    async def waiting(self) -> int:
        query = "SELECT count(*) FROM turns WHERE state = 'waiting'"
        return await self.store.run(lambda c: c.scalar(sa.text(query)) or 0)

    async def history(self, *, before: int = 0, who: str = "ann") -> list[str]:
        message = self.write("", who=who, chat="c")
        kept = await self.store.run(history.load, message.conversation, message.sender, before=before)
        return [exchange.question for exchange in kept]


Set = Callable[..., Scene]


@pytest.fixture
def scene_with(store: Store, clock: ManualClock, write: Write) -> Set:
    def make(**limits: object) -> Scene:
        workforce = Workforce()
        admission = Admission(store, clock, replace(LIMITS, **limits), workforce)  # type: ignore[arg-type]  # of limits
        return Scene(store=store, clock=clock, write=write, admission=admission, workforce=workforce)

    return make


@pytest.fixture
def scene(scene_with: Set) -> Scene:
    return scene_with()


async def test_again_asks_the_question_of_its_answer(scene: Scene) -> None:
    """The button under the first of two answers asks the first question, with all its parts, where it was asked."""
    first = await scene.ask("what is this", quotes=(QUOTE,), media=(Media.FILE,))
    await scene.answer()
    await scene.answered("and tomorrow")
    assert await scene.press(presses.again, first) == Receipt(is_work=True)
    message = (await scene.claim()).message
    assert (message.text, message.quotes, message.media) == ("what is this", (QUOTE,), (Media.FILE,))
    assert (message.again, message.reference, message.conversation.chat) == (first, "pressed here", "c")


async def test_a_question_asked_again_keeps_its_place(scene: Scene) -> None:
    """However often a question is asked, it has the history before it, and one answer in the history after it."""
    first, second = await scene.answered("one"), await scene.answered("two")
    await scene.answered("three")
    await scene.press(presses.again, second)
    repeated = await scene.answer()
    await scene.press(presses.again, repeated.id)
    claim = await scene.claim()
    assert (claim.message.text, claim.message.again) == ("two", second)
    assert await scene.history(before=second) == ["one"]
    await scene.store.run(turns.release, claim, "me")
    await scene.answer()
    assert await scene.history() == ["one", "three", "two"]
    await scene.press(presses.again, first)
    await scene.answer()
    assert await scene.history(before=second) == ["one"]


async def test_an_answer_that_fails_leaves_the_earlier_one(scene: Scene) -> None:
    """The earlier answer stays in the history until there is another one."""
    first = await scene.answered("one")
    await scene.press(presses.again, first)
    await scene.answer(tokens=0)
    assert await scene.history() == ["one"]


async def test_only_the_asker_asks_again(scene: Scene) -> None:
    """Another person in the group is told so, and nothing is asked."""
    first = await scene.answered("one")
    receipt = await scene.press(presses.again, first, who="bob")
    assert (receipt.error, receipt.is_work) == ("not_the_asker", False)
    assert "person who asked" in receipt.notice
    assert await scene.waiting() == 0


async def forget(scene: Scene, _turn_id: int) -> None:
    await scene.ask("/forget")
    claim = await scene.answer(source=Source.COMMAND, tokens=0)
    await scene.store.run(records.forget, claim.message.sender, claim.id)


async def reset(scene: Scene, _turn_id: int) -> None:
    message = scene.write("", chat="c")
    await scene.store.run(history.reset, message.conversation, message.sender)


async def keep(_scene: Scene, _turn_id: int) -> None:
    """Forget nothing."""


@pytest.mark.parametrize(
    ("happens", "where", "error"),
    [
        (keep, {}, ""),
        (forget, {}, "question_forgotten"),
        (reset, {}, "question_forgotten"),
        (keep, {"chat": "elsewhere"}, "question_forgotten"),
    ],
)
async def test_a_forgotten_question_is_not_asked(
    scene: Scene, happens: Callable[..., object], where: dict[str, str], error: str
) -> None:
    """After /forget and /reset the person is told that the question is gone; so is a turn of another chat."""
    first = await scene.answered("one")
    await happens(scene, first)  # type: ignore[misc]  # a coroutine
    receipt = await scene.press(presses.again, first, **where)
    assert receipt.error == error
    assert ("do not remember" in receipt.notice) == bool(error)
    assert await scene.waiting() == (not error)


async def test_what_is_no_question_is_not_asked(scene: Scene) -> None:
    """The turn of a command, and one that never was, are no questions."""
    await scene.ask("/help")
    command = await scene.answer(source=Source.COMMAND, tokens=0)
    for turn_id in (command.id, 999):
        assert (await scene.press(presses.again, turn_id)).error == "question_forgotten"


async def test_a_reset_spares_what_waits(scene: Scene) -> None:
    """A question that is answered after the /reset of the conversation can be asked again."""
    await scene.ask("later")
    await reset(scene, 0)
    later = await scene.answer()
    assert (await scene.press(presses.again, later.id)).is_work


async def test_a_second_press_changes_nothing(scene: Scene) -> None:
    """While the question waits, is answered and is delivered, a press is answered with words; then it asks again."""
    first = await scene.answered("one")
    await scene.press(presses.again, first)
    assert (await scene.press(presses.again, first)).error == "answering_again"
    claim = await scene.claim()
    assert (await scene.press(presses.again, first)).error == "answering_again"
    reply = Reply(text="answer", source=Source.MODEL, tokens=5)
    await scene.store.run(turns.finish, claim, "me", reply, scene.clock.now(), KEEPING)
    assert (await scene.press(presses.again, first)).error == "answering_again"
    assert await scene.waiting() == 0
    await scene.store.run(turns.mark_delivered, claim, "me")
    assert (await scene.press(presses.again, first)).is_work


@pytest.mark.parametrize(
    ("limits", "error"), [({"per_minute": 1, "burst": 0}, "throttled"), ({"max_queued": 1}, "queue_full")]
)
async def test_a_press_counts_as_a_message(
    scene: Scene, scene_with: Set, limits: dict[str, object], error: str
) -> None:
    """A question asked again is under the rate limit and the limit of the queue."""
    first = await scene.answered("one")
    await scene.ask("two")
    assert (await scene_with(**limits).press(presses.again, first)).error == error
    assert await scene.waiting() == 1


async def test_a_press_delivered_twice_is_one(scene: Scene) -> None:
    """A press that the platform delivers again says and does nothing."""
    first = await scene.answered("one")
    assert (await scene.press(presses.again, first, key="k")).is_work
    assert await scene.press(presses.again, first, key="k") == Receipt()


async def test_stop_ends_the_answer_that_it_names(scene: Scene) -> None:
    """A running answer is interrupted, one that waits is answered, and the person's other questions go on."""
    first, second = await scene.ask("one"), await scene.ask("two")
    await scene.claim()
    assert (await scene.press(presses.stop, first)).notice == "Stopped."
    assert scene.workforce.interrupted == [first]
    assert (await scene.press(presses.stop, second)).is_work
    assert (scene.workforce.interrupted, await scene.waiting()) == ([first], 0)


async def test_stop_reaches_an_answer_whose_gateway_died(scene: Scene) -> None:
    """A running turn whose lease has expired is answered with "Stopped.", and not claimed to be answered again."""
    first = await scene.ask("one")
    claim = await scene.claim()
    await scene.store.run(turns.set_handle, claim, "me", "placeholder")
    scene.clock.advance(11)
    assert (await scene.press(presses.stop, first)).notice == "Stopped."
    lease = Lease(owner="you", now=scene.clock.now(), until=scene.clock.now() + 10)
    assert await scene.store.run(turns.claim_waiting, lease, ["test/w"]) is None
    stopped = await scene.store.run(turns.claim_answered, lease, ["test/w"])
    assert stopped is not None
    assert stopped.reply is not None
    assert (stopped.reply.text, stopped.reply.finish) == ("Stopped.", Finish.STOPPED)


async def test_only_the_asker_stops(scene: Scene) -> None:
    """Another person's button, and a thread in which only others wait for an answer, are left alone."""
    first = await scene.ask("one")
    await scene.claim()
    for turn_id in (first, 0):
        assert (await scene.press(presses.stop, turn_id, who="bob")).error == "not_the_asker"
    assert scene.workforce.interrupted == []


async def test_there_may_be_nothing_to_stop(scene: Scene) -> None:
    """An answer that is there already, and an empty thread, have nothing to stop."""
    first = await scene.answered("one")
    for turn_id in (first, 0):
        receipt = await scene.press(presses.stop, turn_id)
        assert (receipt.notice, receipt.error) == ("There is nothing to stop.", "")


async def test_a_button_without_a_turn_stops_the_thread(scene: Scene) -> None:
    """The platform's own stop button ends all answers of the person in the conversation, and none elsewhere."""
    first = await scene.ask("one")
    await scene.ask("two")
    await scene.ask("three", chat="d")
    await scene.claim()
    assert (await scene.press(presses.stop, 0)).interrupts == (first,)
    assert await scene.waiting() == 1


async def test_votes_are_kept_once_a_person(scene: Scene) -> None:
    """A second vote replaces the first, and anybody who may use the bot may vote."""
    first = await scene.answered("one")
    for action, who in ((presses.vote_up, "ann"), (presses.vote_down, "ann"), (presses.vote_up, "bob")):
        receipt = await scene.press(action, first, who=who)
        assert (receipt.notice, receipt.vote) == ("Thank you!", -1 if action is presses.vote_down else 1)
    counted = await scene.store.run(totals.totals, None)
    assert (counted.up, counted.down) == (1, 1)


async def test_the_same_vote_again_changes_nothing(scene: Scene) -> None:
    """The second press of the same thumb is not thanked for, and the vote keeps its time."""
    first = await scene.answered("one")
    await scene.press(presses.vote_up, first)
    scene.clock.advance(60)
    assert await scene.press(presses.vote_up, first) == Receipt(vote=1)
    cast = await scene.store.run(lambda c: c.scalar(sa.text("SELECT cast_at FROM votes")))
    assert cast == scene.clock.now() - 60


async def test_a_vote_on_what_is_gone_is_not_kept(scene: Scene) -> None:
    """A vote on a turn that is not known any more is refused with words."""
    assert (await scene.press(presses.vote_up, 999)).error == "question_forgotten"


async def test_a_stranger_is_told_and_leaves_no_trace(scene_with: Set) -> None:
    """A person who may not use the bot is told so by their own button press, and is not stored."""
    scene = scene_with(allow=frozenset({"test:ann"}))
    first = await scene.answered("one")
    for action in (presses.vote_up, presses.again, presses.stop):
        receipt = await scene.press(action, first, who="bob")
        assert (receipt.error, "test:bob" in receipt.notice) == ("not_allowed", True)
    assert await scene.store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM people"))) == 1


async def test_who_may_talk_in_a_place_may_vote_there(scene_with: Set) -> None:
    """Everybody in an allowed place may vote on its answers, and on no others."""
    scene = scene_with(allow=frozenset({"test:chat:here", "test:ann"}))
    here, elsewhere = await scene.answered("one", chat="here"), await scene.answered("two", chat="there")
    assert (await scene.press(presses.vote_up, here, who="bob", chat="here")).vote == 1
    assert (await scene.press(presses.vote_up, elsewhere, who="bob", chat="there")).error == "not_allowed"


async def test_notices_are_in_the_persons_language(scene: Scene) -> None:
    """A person who writes Chinese reads notices in Chinese."""
    first = await scene.answered("你好，请介绍一下自己")
    assert (await scene.press(presses.vote_up, first)).notice == "谢谢！"
    await scene.press(presses.again, first)
    assert "已经在回答" in (await scene.press(presses.again, first)).notice


async def asked(scene: Scene, text: str = "/forget", **where: str) -> int:
    """The turn of a command that has asked its sender first."""
    await scene.ask(text, **where)
    return (await scene.answer(source=Source.COMMAND, tokens=0)).id


async def test_yes_carries_out_what_was_asked(scene: Scene) -> None:
    """A yes is the command with its confirmation, in the place where it was asked, wherever the button stands."""
    question = await asked(scene, chat="room")
    assert await scene.press(presses.yes, question, chat="ann alone") == Receipt(is_work=True)
    message = (await scene.claim()).message
    assert (message.text, message.sender.id, message.conversation.chat) == ("/forget yes", "ann", "room")


async def test_no_is_typed_for_the_asker(scene: Scene) -> None:
    """A no is the command with a no, so that the command itself decides what that means."""
    assert (await scene.press(presses.no, await asked(scene))).is_work
    assert (await scene.claim()).message.text == "/forget no"


@pytest.mark.parametrize("action", [presses.yes, presses.no])
async def test_only_the_asker_confirms(scene: Scene, action: Action) -> None:
    """Another person's press is refused."""
    assert (await scene.press(action, await asked(scene), who="bob")).error == "not_the_asker"
    assert await scene.waiting() == 0


async def test_a_yes_is_good_for_some_minutes(scene: Scene) -> None:
    """A confirmation counts for ten minutes from the question on, not from the message that waited for it."""
    await scene.ask("/forget")
    scene.clock.advance(3_600)
    question = (await scene.answer(source=Source.COMMAND, tokens=0)).id
    scene.clock.advance(FORGET.yes_within)
    assert (await scene.press(presses.yes, question)).is_work
    scene.clock.advance(1)
    receipt = await scene.press(presses.yes, question)
    assert (receipt.error, receipt.is_work) == ("expired", False)


@pytest.mark.parametrize("text", ["/forget yes", "/forget no", "/export", "/reset"])
async def test_only_what_was_asked_is_confirmed(scene: Scene, text: str) -> None:
    """Turns that asked nothing or have not asked yet, and turns that are not known, cannot be confirmed."""
    for turn_id in (await asked(scene, text), await scene.answered("hello"), 999, await scene.ask("/forget")):
        assert (await scene.press(presses.yes, turn_id)).error == "question_forgotten"


async def test_an_administrator_may_take_their_time(scene: Scene) -> None:
    """A request to be let in can be answered on another day."""
    question = await asked(scene, "/access test:bob")
    scene.clock.advance(3 * 86_400)
    assert (await scene.press(presses.yes, question)).is_work
    assert (await scene.claim()).message.text == "/access test:bob yes"


async def test_a_yes_counts_like_a_message(scene_with: Set) -> None:
    """A press is limited like a message."""
    scene = scene_with(per_minute=1, burst=1)
    assert (await scene.press(presses.yes, await asked(scene))).error == "throttled"


async def test_forget_takes_votes_and_the_language_along(scene: Scene) -> None:
    """/forget also deletes a person's votes on the answers of others, and what the platform said of their language."""
    answer = await scene.answered("one", who="bob")
    await scene.press(presses.vote_up, answer, who="ann")
    await scene.press(presses.vote_down, answer, who="bob")
    turn_id = await scene.ask("/forget yes", sender=Person(platform="test", workspace="w", id="ann", locale="zh"))
    await scene.store.run(records.forget, (await scene.claim()).message.sender, turn_id)
    assert await scene.store.run(lambda c: c.scalars(sa.text("SELECT vote FROM votes")).all()) == [-1]
    hints = await scene.store.run(lambda c: c.scalars(sa.text("SELECT hint FROM people WHERE key LIKE '%ann'")).all())
    assert hints == [None]


async def test_a_question_on_a_button_is_asked_once_at_a_time(scene: Scene) -> None:
    """The words are asked as if typed, and named to the person; while they wait for an answer, not a second time."""
    turn = await scene.answered("/start")
    assert await scene.press(presses.ask, turn, words="How are you?") == Receipt(notice="How are you?", is_work=True)
    assert (await scene.press(presses.ask, turn, words="How are you?")).error == "answering_again"
    message = (await scene.answer()).message
    assert (message.text, message.sender.id, message.conversation.chat) == ("How are you?", "ann", "c")
    assert (await scene.press(presses.ask, turn, words="How are you?")).is_work


async def test_a_question_on_a_button_counts_as_a_message(scene_with: Set) -> None:
    """Buttons are no way around the rate limit, nor around the access list."""
    scene = scene_with(burst=1, per_minute=1)
    assert (await scene.press(presses.ask, 0, words="one")).is_work
    assert (await scene.press(presses.ask, 0, words="two")).error == "throttled"
    strict = scene_with(allow=frozenset({"test:ann"}))
    assert (await strict.press(presses.ask, 0, who="bob", words="one")).error == "not_allowed"


async def test_a_suggested_question_is_asked_by_its_button(scene: Scene) -> None:
    """The second button asks the second question, for the one who presses it, as if it had been typed."""
    await scene.ask("opening?")
    turn = (await scene.answer(suggestions=("When do you open?", "Where do I open it?"))).id
    pressed = await scene.press(presses.second, turn, who="bob")
    assert pressed == Receipt(notice="Where do I open it?", is_work=True)
    message = (await scene.answer()).message
    assert (message.text, message.sender.id) == ("Where do I open it?", "bob")


@pytest.mark.parametrize(("chat", "action"), [("c", presses.third), ("elsewhere", presses.first)])
async def test_what_was_not_suggested_there_is_not_asked(scene: Scene, chat: str, action: Action) -> None:
    """A number beyond the suggestions asks nothing, and neither does a button in another chat than its turn."""
    await scene.ask("opening?")
    turn = (await scene.answer(suggestions=("When do you open?", "Where do I open it?"))).id
    assert (await scene.press(action, turn, chat=chat)).error == "question_forgotten"
    assert await scene.waiting() == 0


async def test_a_button_without_words_asks_nothing(scene: Scene) -> None:
    """If a message does not show its buttons any more, nothing is asked."""
    assert (await scene.press(presses.ask, 0, words=" ")).error == "question_forgotten"
    assert await scene.waiting() == 0
