"""An edited message is answered as it is now, and a deleted one is forgotten."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.accepting import Accepted, Duplicate, Ignored, Outcome, Refused
from core.clock import ManualClock
from core.corrections import LATE
from core.delivery import Claim
from core.editing import ANEW_WITHIN
from core.errors import MessageChanged
from core.limits import Limits
from core.messages import WITHDRAWN, Deletion, Edit, Kind, Media, Message, Quote, Relation, Reply, Source
from core.store import Store, history, open_store, people, questions, records, schema, turns, votes
from tests.core.conftest import Write
from tests.core.test_admission import GENEROUS, Idle, count_turns
from tests.core.test_gathering import ALBUM, KEEPING, NEWS, answered, begun, claim, door, lease, piece, reopened
from tests.options import limits_with

THREE_A_MINUTE = limits_with(per_minute=1, burst=3, allow=GENEROUS.allow)


class Person:
    """Writes messages, and edits and deletes them."""

    def __init__(self, store: Store, clock: ManualClock, write: Write, limits: Limits = GENEROUS) -> None:
        self.store = store
        self.clock = clock
        self.workforce = Idle()
        self.door = door(store, clock, limits, self.workforce)
        self._write = write

    def write(self, text: str, **facts: Any) -> Message:  # noqa: ANN401  fields of a message
        return piece(self._write, text, **({"ties": replace(ALBUM, waits=False, joins=(), opens=())} | facts))

    async def say(self, text: str, **facts: Any) -> Message:  # noqa: ANN401
        message = self.write(text, **facts)
        assert isinstance(await self.door.accept(message), Accepted)
        return message

    async def edit(self, message: Message, text: str, *, addressed: bool | None = True, **facts: Any) -> Outcome:  # noqa: ANN401
        """Edit a message a second later."""
        self.clock.advance(1)
        changed = replace(message, text=text, **({"edited_at": self.clock.now()} | facts))
        keys = (f"edit {message.reference} {changed.edited_at} {text}",)
        return await self.door.edit(Edit(event_keys=keys, message=changed, is_addressed=addressed))

    async def delete(self, message: Message) -> Outcome:
        deletion = Deletion(
            event_keys=message.event_keys,
            conversation=message.conversation,
            sent_at=message.sent_at,
            text=message.text,
        )
        return await self.door.delete(deletion)

    async def next(self) -> Claim | None:
        return await claim(self.store, self.clock)

    async def history(self, message: Message) -> list[tuple[str, str]]:
        kept = await self.store.run(history.load, message.conversation, message.sender)
        return [(exchange.question, exchange.answer) for exchange in kept]

    async def words(self) -> list[str]:
        """The texts of all messages in the store."""
        query = sa.select(schema.turns.c.text).order_by(schema.turns.c.id)
        return list(await self.store.run(lambda c: c.scalars(query).all()))


@pytest.fixture
def ann(store: Store, clock: ManualClock, write: Write) -> Person:
    return Person(store, clock, write)


async def test_a_waiting_question_is_replaced(ann: Person) -> None:
    """A question that waits is answered as it is now, with its new quotes and media, and once."""
    question = await ann.say("Waht is it?", quotes=(NEWS,), media=(Media.PICTURE,))
    await ann.edit(question, "这是什么呢？", media=(Media.VIDEO,), quotes=())
    turn = await begun(ann.store, ann.clock)
    assert (turn.message.text, turn.message.quotes, turn.message.media) == ("这是什么呢？", (), (Media.VIDEO,))
    assert not turn.is_revised
    assert await ann.next() is None


async def test_what_was_said_earlier_in_the_thread_is_kept(ann: Person) -> None:
    """An edit does not hold what the front end read in the thread before the question."""
    earlier = Quote(relation=Relation.EARLIER, text="we saw a whale")
    question = await ann.say("what is it?", quotes=(earlier,))
    await ann.edit(question, "what was it?", quotes=(NEWS,))
    assert (await begun(ann.store, ann.clock)).message.quotes == (earlier, NEWS)


async def test_an_edit_is_answered_in_its_language(ann: Person) -> None:
    """The bot's own words to an edited question are in the language of its new words."""
    question = await ann.say("?")
    await ann.edit(question, "这是什么呢？")
    assert (await begun(ann.store, ann.clock)).locale == "zh"


async def test_a_running_answer_is_given_up(ann: Person) -> None:
    """The answer under way is stopped, and the edited question answered in the same place without a new attempt."""
    question = await ann.say("Waht?")
    first = await begun(ann.store, ann.clock)
    await ann.store.run(turns.set_handle, first, "me", "placeholder")
    outcome = await ann.edit(question, "What?")
    assert outcome == Accepted(turn_id=first.id, interrupts=(first.id,))
    assert ann.workforce.interrupted == [first.id]
    await reopened(ann.store, first, ann.clock)
    again = await begun(ann.store, ann.clock)
    assert (again.id, again.attempt, again.handle, again.message.text) == (first.id, 1, "placeholder", "What?")
    assert not again.is_revised


async def test_an_answer_is_replaced_in_its_place(ann: Person) -> None:
    """An answered question is answered anew by the same messages, once for each edit, and remembered once."""
    question = await ann.say("one")
    first = await answered(ann.store, ann.clock, "to one")
    for text in ("two", "three"):
        await ann.edit(question, text)
        assert await ann.history(question) == []
        again = await begun(ann.store, ann.clock)
        assert (again.id, again.handle, again.message.text, again.is_revised) == (first.id, "shown to one", text, True)
        reply = Reply(text=f"to {text}", source=Source.MODEL, tokens=20)
        await ann.store.run(turns.finish, again, "me", reply, ann.clock.now(), KEEPING)
        await ann.store.run(turns.mark_delivered, again, "me")
        assert await ann.next() is None
    assert await ann.history(question) == [("three", "to three")]
    assert await count_turns(ann.store) == 1


async def test_a_question_that_is_edited_again_is_still_answered_in_its_place(ann: Person) -> None:
    """An answer that waits to be replaced is replaced by that to the latest edit."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock)
    for text in ("two", "three"):
        await ann.edit(question, text)
    again = await begun(ann.store, ann.clock)
    assert (again.handle, again.message.text, again.is_revised) == ("shown hi", "three", True)


async def test_an_edit_during_the_delivery_costs_no_attempt(ann: Person) -> None:
    """An answer that is edited away while it is delivered leaves the new one as many attempts as any other has."""
    question = await ann.say("one")
    turn = await begun(ann.store, ann.clock)
    reply = Reply(text="to one", source=Source.MODEL, tokens=20)
    await ann.store.run(turns.finish, turn, "me", reply, ann.clock.now(), KEEPING)
    await ann.edit(question, "two")
    await reopened(ann.store, turn, ann.clock)
    assert (await begun(ann.store, ann.clock)).attempt == 1


async def test_an_edit_is_tried_as_often_as_a_new_question(ann: Person) -> None:
    """Tries of the old words that failed unexpectedly do not count against the new ones."""
    question = await ann.say("one")
    await ann.store.run(turns.fail, await begun(ann.store, ann.clock), "me", 0.0, fault="KeyError")
    await ann.edit(question, "two")
    assert (await begun(ann.store, ann.clock)).faults == 0


async def test_an_edit_counts_once(ann: Person) -> None:
    """An edit that is delivered twice is a duplicate."""
    question = await ann.say("one")
    await ann.edit(question, "two")
    ann.clock.advance(-1)
    assert isinstance(await ann.edit(question, "two"), Duplicate)


async def test_an_edit_that_changes_no_words_changes_nothing(ann: Person) -> None:
    """Platforms report previews of links and the like as edits: the answer stays, and the rate limit is not touched."""
    question = await ann.say("see a.example", media=(Media.LOCATION,))
    await answered(ann.store, ann.clock)
    before = await ann.store.run(people.find_or_add, question.sender)
    assert isinstance(await ann.edit(question, " see a.example", quotes=(NEWS,)), Ignored)
    assert await ann.next() is None
    assert await ann.store.run(people.find_or_add, question.sender) == before


async def test_an_older_edit_is_overtaken(ann: Person) -> None:
    """If two edits arrive in the wrong order, the later one stands, also if it came before the message itself."""
    question = ann.write("one")
    later = ann.clock.now() + 5
    await ann.edit(question, "three", edited_at=later)
    assert isinstance(await ann.door.accept(question), Duplicate)
    assert isinstance(await ann.edit(question, "two", edited_at=later - 1), Ignored)
    assert (await begun(ann.store, ann.clock)).message.text == "three"
    assert await count_turns(ann.store) == 1


async def test_an_edit_may_come_before_its_message(ann: Person) -> None:
    """The edited message is answered, and the message that arrives after it is a duplicate."""
    question = ann.write("one")
    assert isinstance(await ann.edit(question, "two"), Accepted)
    assert isinstance(await ann.door.accept(question), Duplicate)
    assert (await begun(ann.store, ann.clock)).message.text == "two"
    assert await count_turns(ann.store) == 1


@pytest.mark.parametrize("addressed", [None, False])
async def test_an_edit_of_what_was_said_to_others_is_left_alone(ann: Person, addressed: bool | None) -> None:  # noqa: FBT001  a field
    """A message that the bot does not know, and that does not address it, is not stored."""
    assert isinstance(await ann.edit(ann.write("one"), "two", addressed=addressed), Ignored)
    assert await count_turns(ann.store) == 0


async def test_an_edit_of_a_message_from_before_the_bot_is_left_alone(ann: Person) -> None:
    """An old message that the bot does not know gets no answer."""
    question = ann.write("one")
    ann.clock.advance(LATE)
    assert isinstance(await ann.edit(question, "two"), Ignored)
    assert await count_turns(ann.store) == 0


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_stranger_is_not_told_about_edits(ann: Person, *, is_known: bool) -> None:
    """The edit of a person who may not write changes nothing, and gets no notice."""
    question = await ann.say("one") if is_known else ann.write("one")
    ann.door = door(ann.store, ann.clock, limits_with(asks_admins=True, admins=frozenset({"test:boss"})))
    assert isinstance(await ann.edit(question, "two"), Ignored)
    assert await ann.words() == ["one"] * is_known


async def test_nobody_edits_the_message_of_another_person(ann: Person, write: Write) -> None:
    """An edit by anyone but the sender changes nothing."""
    question = await ann.say("one")
    assert isinstance(await ann.edit(question, "two", sender=write("", who="bob").sender), Ignored)
    assert await ann.words() == ["one"]


async def test_edits_count_for_the_rate_limit(store: Store, clock: ManualClock, write: Write) -> None:
    """Beyond the rate limit no answer is begun anew and no notice is sent; a question that waits is still replaced."""
    ann = Person(store, clock, write, THREE_A_MINUTE)
    question = await ann.say("one")
    await answered(store, clock)
    for text in ("two", "three"):
        assert isinstance(await ann.edit(question, text), Accepted)
    assert isinstance(await ann.door.accept(ann.write("another")), Refused)
    await ann.edit(question, "four")
    running = await begun(store, clock)
    assert running.message.text == "four"
    assert isinstance(await ann.edit(question, "five"), Ignored)
    assert await store.run(
        turns.finish, running, "me", Reply(text="x", source=Source.MODEL, tokens=2), clock.now(), KEEPING
    )
    await store.run(turns.mark_delivered, running, "me")
    assert isinstance(await ann.edit(question, "six"), Ignored)
    assert await ann.history(question) == [("four", "x")]


async def test_an_answered_question_needs_room_in_the_queue(store: Store, clock: ManualClock, write: Write) -> None:
    """An edit begins no answer anew if the person's queue is full."""
    ann = Person(store, clock, write, limits_with(per_minute=6000, burst=1000, max_queued=1, allow=GENEROUS.allow))
    question = await ann.say("one")
    await answered(store, clock)
    await ann.say("and?")
    assert isinstance(await ann.edit(question, "two"), Ignored)


async def test_an_old_answer_stays_and_its_question_is_reworded(ann: Person) -> None:
    """Of a question that others have followed only the words in the history change, ten minutes after it was asked."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock, "to one")
    await ann.say("and?")
    await answered(ann.store, ann.clock, "that is all")
    ann.clock.advance(ANEW_WITHIN)
    await ann.edit(question, "a longer one")
    assert await ann.next() is None
    assert await ann.history(question) == [("a longer one", "to one"), ("and?", "that is all")]
    tokens = sa.select(schema.turns.c.tokens).order_by(schema.turns.c.id)
    assert await ann.store.run(lambda c: list(c.scalars(tokens))) == [20 + len("a longer one"), 20]


@pytest.mark.parametrize(("followed", "late"), [(True, ANEW_WITHIN - 10), (False, 10 * ANEW_WITHIN)])
async def test_a_recent_or_last_question_is_answered_anew(ann: Person, *, followed: bool, late: float) -> None:
    """A question is answered anew within ten minutes, and the person's last one in the conversation at any time."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock)
    if followed:
        await ann.say("and?")
        await answered(ann.store, ann.clock)
    ann.clock.advance(late)
    await ann.edit(question, "two")
    assert (await begun(ann.store, ann.clock)).message.text == "two"


@pytest.mark.parametrize("other", [{"who": "bob", "chat": "ann"}, {"chat": "elsewhere"}])
async def test_others_do_not_make_a_question_old(ann: Person, write: Write, other: dict[str, str]) -> None:
    """A person's last question in a conversation is answered anew, whatever others ask there, or they elsewhere."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock)
    await ann.door.accept(write("and?", **other))
    await answered(ann.store, ann.clock)
    ann.clock.advance(2 * ANEW_WITHIN)
    await ann.edit(question, "two")
    assert (await begun(ann.store, ann.clock)).message.text == "two"


async def test_the_words_of_a_person_who_is_forgotten_do_not_come_back(ann: Person) -> None:
    """An edit of /forget, while the bot says goodbye, changes nothing."""
    command = await ann.say("/forget yes")
    turn = await begun(ann.store, ann.clock)
    await ann.store.run(records.forget, command.sender, turn.id)
    assert isinstance(await ann.edit(command, "do not forget me"), Ignored)
    assert await ann.words() == [command.text]


async def test_a_question_that_was_forgotten_stays_forgotten(ann: Person) -> None:
    """After /reset an edit does not bring the exchange back."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock)
    await ann.store.run(history.reset, question.conversation, question.sender)
    await ann.edit(question, "two")
    assert await ann.next() is None


async def test_a_question_asked_again_is_answered_anew_where_it_was_answered_last(ann: Person) -> None:
    """The latest answer is replaced; the words change in all turns that ask the question."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock, "to one")
    asked = await ann.store.run(questions.find, 1)
    assert asked is not None
    await ann.store.run(questions.ask_again, asked, 1, "press", "en", ann.clock.now())
    await answered(ann.store, ann.clock, "to one again")
    await ann.edit(question, "two")
    again = await begun(ann.store, ann.clock)
    assert (again.id, again.handle, again.message.again, again.message.text) == (2, "shown to one again", 1, "two")
    reply = Reply(text="to two", source=Source.MODEL, tokens=20)
    await ann.store.run(turns.finish, again, "me", reply, ann.clock.now(), KEEPING)
    assert await ann.history(question) == [("two", "to two")]
    assert await ann.words() == ["two", "two"]


async def test_a_retry_is_edited_into_a_question_of_its_own(ann: Person) -> None:
    """/retry has the words of another question: that one keeps its own, and /retry itself is no change."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock, "to one")
    retry = await ann.say("/retry", sender=question.sender)
    turn = await begun(ann.store, ann.clock)
    await ann.store.run(questions.ask_last_again, turn.message, turn.id)
    reply = Reply(text="again", source=Source.MODEL, tokens=20)
    await ann.store.run(turns.finish, turn, "me", reply, ann.clock.now(), KEEPING)
    await ann.store.run(turns.mark_delivered, turn, "me")
    assert isinstance(await ann.edit(retry, "/retry"), Ignored)
    await ann.edit(retry, "two")
    again = await begun(ann.store, ann.clock)
    assert (again.message.again, again.message.text) == (0, "two")
    assert await ann.words() == ["one", "two"]


async def test_a_piece_is_replaced_in_its_message(ann: Person) -> None:
    """An edit of one event of a gathered message replaces its words; the media and quotes of the others stay."""
    first = await ann.say("Which", ties=ALBUM, media=(Media.PICTURE,), quotes=(NEWS,))
    second = await ann.say("is bteter?", ties=ALBUM, media=(Media.VIDEO,))
    await ann.edit(second, "is better?")
    turn = await begun(ann.store, ann.clock)
    assert turn.message.text == "Which\nis better?"
    assert (turn.message.media, turn.message.quotes) == ((Media.PICTURE, Media.VIDEO), (NEWS,))
    await ann.edit(first, "What", addressed=False)
    await reopened(ann.store, turn, ann.clock)
    assert (await begun(ann.store, ann.clock)).message.text == "What\nis better?"


@pytest.mark.parametrize("is_answered", [False, True])
async def test_an_edit_that_is_too_long_is_refused_in_place(
    store: Store, clock: ManualClock, write: Write, *, is_answered: bool
) -> None:
    """The refusal takes the place of the answer, and a shorter edit that of the refusal."""
    ann = Person(store, clock, write, replace(GENEROUS, max_bytes=10))
    question = await ann.say("one")
    if is_answered:
        await answered(store, clock)
    await ann.edit(question, "x" * 11)
    refused = await store.run(turns.claim_answered, lease(clock), ["test/w"])
    assert refused is not None
    assert refused.reply is not None
    assert "11 bytes" in refused.reply.text
    assert await ann.words() == [""]
    await store.run(turns.mark_delivered, refused, "me")
    await ann.edit(question, "two")
    assert (await begun(store, clock)).message.text == "two"
    assert await count_turns(store) == 1


async def test_an_old_question_that_becomes_too_long_leaves_the_history(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """Neither the old words nor the new ones are kept."""
    ann = Person(store, clock, write, replace(GENEROUS, max_bytes=10))
    question = await ann.say("one")
    await answered(store, clock)
    await ann.say("and?")
    await answered(store, clock)
    clock.advance(ANEW_WITHIN)
    await ann.edit(question, "x" * 11)
    assert [asked for asked, _ in await ann.history(question)] == ["and?"]
    assert await ann.words() == ["", "and?"]


async def test_votes_on_the_old_answer_are_dropped(ann: Person) -> None:
    """A vote says nothing about the answer that takes the place of the one it was for."""
    question = await ann.say("one")
    turn = await answered(ann.store, ann.clock)
    await ann.store.run(votes.cast, turn.id, question.sender, 1, ann.clock.now())
    await ann.edit(question, "two")
    assert await ann.store.run(lambda c: c.execute(sa.select(schema.votes)).all()) == []


async def test_a_mistyped_command_is_carried_out(ann: Person) -> None:
    """A command may be edited like a question, and the answer takes the place of the old one."""
    command = await ann.say("/hlep")
    turn = await begun(ann.store, ann.clock)
    await ann.store.run(turns.set_handle, turn, "me", "shown")
    unknown = Reply(text="unknown", source=Source.COMMAND)
    await ann.store.run(turns.finish, turn, "me", unknown, ann.clock.now(), KEEPING)
    await ann.store.run(turns.mark_delivered, turn, "me")
    await ann.edit(command, "/help")
    again = await begun(ann.store, ann.clock)
    assert (again.handle, again.message.text) == ("shown", "/help")


@pytest.mark.parametrize(
    ("typed", "kind", "is_carried_out"),
    [
        ("/lang zn", Kind.PRIVATE, True),
        ("/lang zn", Kind.GROUP, False),
        ("/export", Kind.PRIVATE, False),
        ("/help", Kind.GROUP, True),
    ],
)
async def test_a_private_answer_in_a_group_and_a_file_stay(
    ann: Person, typed: str, kind: Kind, *, is_carried_out: bool
) -> None:
    """What only the sender was shown elsewhere is no message to be edited, and nor is a file; the words stay too, since
    they say how the answer is shown.
    """
    command = await ann.say(typed, kind=kind)
    turn = await begun(ann.store, ann.clock)
    await ann.store.run(turns.finish, turn, "me", Reply(text="x", source=Source.COMMAND), ann.clock.now(), KEEPING)
    running = await ann.edit(command, "hello")
    assert isinstance(running, Accepted)
    if not is_carried_out:
        assert await ann.words() == [typed]
        await ann.store.run(turns.mark_delivered, turn, "me")
    else:
        with pytest.raises(MessageChanged):
            await ann.store.run(turns.mark_delivered, turn, "me")
        await ann.store.run(turns.reopen, turn, "me")
    assert (await ann.next() is not None) == is_carried_out


async def test_an_edit_to_stop_stops(ann: Person) -> None:
    """A message edited into /stop ends the person's answers, and says so in its own place."""
    question = await ann.say("one")
    first = await answered(ann.store, ann.clock)
    await ann.say("tell me a long story")
    running = await begun(ann.store, ann.clock)
    outcome = await ann.edit(question, "/stop")
    assert outcome == Accepted(turn_id=first.id, interrupts=(running.id,))
    reply = await ann.store.run(turns.claim_answered, lease(ann.clock), ["test/w"])
    assert reply is not None
    assert reply.reply is not None
    assert (reply.id, reply.handle, reply.reply.text) == (first.id, "shown hi", "Stopped.")
    assert await count_turns(ann.store) == 2


@pytest.mark.parametrize("is_running", [False, True])
async def test_a_question_that_turns_away_from_the_bot_is_withdrawn(ann: Person, *, is_running: bool) -> None:
    """A message that does not address the bot any more is not answered, and its words are not kept."""
    question = await ann.say("one")
    running = await begun(ann.store, ann.clock) if is_running else None
    outcome = await ann.edit(question, "two", addressed=False)
    assert outcome == Accepted(turn_id=1, interrupts=(1,) if is_running else ())
    assert await ann.words() == [""] * is_running
    if running:
        await withdrawn(ann, running)
    assert await count_turns(ann.store) == 0


async def test_an_answer_stays_if_its_question_turns_away(ann: Person) -> None:
    """What the bot has answered is left as it is."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock)
    assert isinstance(await ann.edit(question, "two", addressed=False), Ignored)
    assert await ann.history(question) == [("one", "hi")]


async def withdrawn(ann: Person, running: Claim) -> None:
    """What the worker does with a turn that it is answering while the question is withdrawn."""
    await reopened(ann.store, running, ann.clock)
    await removed(ann)


async def removed(ann: Person) -> None:
    """What the worker does next."""
    found = await ann.store.run(turns.claim_answered, lease(ann.clock), ["test/w"])
    assert found is not None
    assert found.reply is not None
    assert found.reply.error == WITHDRAWN.error
    assert await ann.store.run(turns.remove, found, "me")


async def test_a_deleted_question_that_waits_is_cancelled(ann: Person) -> None:
    """Nothing is left of it but the keys that make it a duplicate."""
    question = await ann.say("one")
    assert isinstance(await ann.delete(question), Accepted)
    assert await count_turns(ann.store) == 0
    assert await ann.next() is None
    assert isinstance(await ann.door.accept(question), Duplicate)
    assert isinstance(await ann.delete(question), Ignored)


async def test_a_deleted_question_is_not_answered_to_the_end(ann: Person) -> None:
    """The answer under way is stopped, its placeholder is to be removed, and the words are gone at once."""
    question = await ann.say("one")
    running = await begun(ann.store, ann.clock)
    await ann.store.run(turns.set_handle, running, "me", "placeholder")
    await ann.delete(question)
    assert ann.workforce.interrupted == [running.id]
    assert await ann.words() == [""]
    await withdrawn(ann, running)
    assert await count_turns(ann.store) == 0


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_crash_after_a_deletion_removes_the_placeholder_all_the_same(ann: Person, *, is_answered: bool) -> None:
    """The next process finds a withdrawn turn, with its handle, whatever the last one was doing, and remembers nothing
    of it.
    """
    question = await ann.say("one")
    running = await begun(ann.store, ann.clock)
    await ann.store.run(turns.set_handle, running, "me", "placeholder")
    if is_answered:
        reply = Reply(text="to one", source=Source.MODEL, tokens=20)
        await ann.store.run(turns.finish, running, "me", reply, ann.clock.now(), KEEPING)
    await ann.delete(question)
    await ann.store.run(turns.disown, "test")
    heir = replace(lease(ann.clock), owner="heir", now=ann.clock.now() + 1)
    found = await ann.store.run(turns.claim_waiting, heir, ["test/w"])
    assert found is not None
    assert found.reply is not None
    assert (found.handle, found.reply.error) == ("placeholder", WITHDRAWN.error)
    assert await ann.store.run(turns.finish, found, "heir", found.reply, ann.clock.now(), KEEPING)
    assert await ann.history(question) == []


async def test_what_comes_after_a_deletion_is_not_joined_to_it(ann: Person) -> None:
    """The rest of a message of which the beginning is deleted is a message of its own."""
    first = await ann.say("one", ties=ALBUM)
    withdrawn_turn = await begun(ann.store, ann.clock)
    await ann.delete(first)
    await ann.say("two", ties=ALBUM)
    await withdrawn(ann, withdrawn_turn)
    assert (await begun(ann.store, ann.clock)).message.text == "two"


async def test_the_answer_to_a_deleted_question_is_forgotten(ann: Person) -> None:
    """Question, answer, votes and the turns that asked it again leave the store."""
    question = await ann.say("one")
    turn = await answered(ann.store, ann.clock)
    asked = await ann.store.run(questions.find, turn.id)
    assert asked is not None
    await ann.store.run(questions.ask_again, asked, 1, "press", "en", ann.clock.now())
    await answered(ann.store, ann.clock, "again")
    await ann.store.run(votes.cast, turn.id, question.sender, 1, ann.clock.now())
    await ann.delete(question)
    assert await ann.history(question) == []
    assert await ann.words() == ["", ""]
    await removed(ann)
    await removed(ann)
    assert await count_turns(ann.store) == 0
    assert await ann.store.run(lambda c: c.execute(sa.select(schema.votes)).all()) == []


@pytest.mark.parametrize("text", ["we saw a whale", " we saw a whale\x00"])
async def test_deleted_words_are_not_quoted(ann: Person, text: str) -> None:
    """What others quote of a deleted message in its conversation is deleted with it, also if it was not for the bot."""
    said = ann.write(text)
    quotes = (Quote(relation=Relation.EARLIER, text=text), NEWS)
    await ann.say("what is it?", quotes=quotes)
    assert isinstance(await ann.delete(said), Ignored)
    assert (await begun(ann.store, ann.clock)).message.quotes == (NEWS,)


def files_with(folder: Path, word: bytes) -> list[str]:
    return [file.name for file in folder.iterdir() if word in file.read_bytes()]


@pytest.mark.parametrize(("is_asked", "is_quoted"), [(True, False), (False, True)])
async def test_no_file_holds_the_words_of_a_deleted_message(
    tmp_path: Path, clock: ManualClock, write: Write, *, is_asked: bool, is_quoted: bool
) -> None:
    """The database and its write-ahead log have them no more, before the answer is removed from the platform too,
    whether they were for the bot or quoted to it.
    """
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        ann = Person(store, clock, write)
        message = ann.write("canary-question")
        if is_asked:
            await ann.door.accept(message)
            await answered(store, clock, "to it")
        quotes = (Quote(relation=Relation.EARLIER, text=message.text),) if is_quoted else ()
        quoting = await ann.say("what?", quotes=quotes)
        assert files_with(tmp_path, b"canary") != []
        await ann.delete(message)
        assert quoting.text in await ann.words()
        assert files_with(tmp_path, b"canary") == []


async def test_a_deletion_without_words_takes_no_quotes_along(ann: Person) -> None:
    """If the platform does not tell what the message said, the quotes of pictures and the like stay."""
    picture = Quote(relation=Relation.FORWARDED, media=(Media.PICTURE,))
    await ann.say("what is this?", quotes=(picture,))
    await ann.delete(ann.write(""))
    assert (await begun(ann.store, ann.clock)).message.quotes == (picture,)


async def test_the_number_of_a_deleted_question_is_not_given_again(ann: Person) -> None:
    """A button may still name the turn of a question that was deleted."""
    question = await ann.say("one")
    first = await answered(ann.store, ann.clock, "to one")
    await ann.delete(question)
    await removed(ann)
    await ann.delete(await ann.say("two"))
    await ann.say("three")
    assert (await begun(ann.store, ann.clock)).id > first.id + 1


async def test_a_deletion_may_come_before_its_message(ann: Person) -> None:
    """The message that arrives after its deletion is a duplicate; nothing is kept about older ones."""
    question, older = ann.write("one"), ann.write("two")
    assert isinstance(await ann.delete(question), Ignored)
    assert isinstance(await ann.door.accept(question), Duplicate)
    ann.clock.advance(LATE + 1)
    await ann.delete(older)
    assert isinstance(await ann.door.accept(older), Accepted)


async def test_a_withdrawn_question_cannot_be_edited(ann: Person) -> None:
    """An edit that arrives after the deletion brings no words back."""
    question = await ann.say("one")
    await answered(ann.store, ann.clock)
    await ann.delete(question)
    assert isinstance(await ann.edit(question, "two"), Ignored)
    assert await ann.words() == [""]
    await removed(ann)
    assert isinstance(await ann.edit(question, "three"), Ignored)


async def test_edits_of_exempt_people_are_not_limited(store: Store, clock: ManualClock, write: Write) -> None:
    """A platform without a rate limit has none for edits either."""
    ann = Person(store, clock, write, replace(THREE_A_MINUTE, exempt=frozenset({"test"})))
    question = await ann.say("one")
    for text in ("two", "three", "four", "five"):
        running = await begun(store, clock)
        assert isinstance(await ann.edit(question, text), Accepted)
        await reopened(store, running, clock)


async def test_an_edit_that_came_first_counts_once(ann: Person) -> None:
    """An edit that was taken for its message is a duplicate when it is delivered again."""
    question = ann.write("one")
    await ann.edit(question, "two")
    ann.clock.advance(-1)
    assert isinstance(await ann.edit(question, "two"), Duplicate)


async def test_other_media_are_a_change(ann: Person) -> None:
    """A question whose picture alone is replaced is answered anew."""
    question = await ann.say("what is it?", media=(Media.PICTURE,))
    await answered(ann.store, ann.clock)
    assert isinstance(await ann.edit(question, "what is it?", media=(Media.VIDEO,)), Accepted)
    assert (await begun(ann.store, ann.clock)).message.media == (Media.VIDEO,)


async def test_a_shown_answer_does_not_become_a_personal_one(ann: Person) -> None:
    """A question in a group is not edited into a command whose answer is for its sender alone."""
    question = await ann.say("one", kind=Kind.GROUP)
    await answered(ann.store, ann.clock)
    assert isinstance(await ann.edit(question, "/lang zn"), Ignored)
    assert await ann.words() == ["one"]


async def test_quotes_in_other_conversations_stay(ann: Person, write: Write) -> None:
    """A deleted message is not quoted any more in its own conversation; elsewhere the same words are another's."""
    said = ann.write("we saw a whale")
    elsewhere = replace(write("what is it?", chat="elsewhere"), quotes=(replace(NEWS, text="we saw a whale"),))
    await ann.door.accept(elsewhere)
    await ann.delete(said)
    assert (await begun(ann.store, ann.clock)).message.quotes == elsewhere.quotes
