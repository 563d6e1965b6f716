from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.accepting import NOTICE_EVERY, Accepted, Duplicate, Refused
from core.admission import Admission
from core.amending import MAX_QUOTED_CHARACTERS
from core.clock import ManualClock
from core.errors import Busy, NotAllowed, QueueFull, StoreFull, Throttled, TooLong
from core.limits import Limits
from core.measures import Measures
from core.messages import Media, Message, Quote, Relation
from core.store import Store, events, open_store, schema, turns
from core.store.turns import Lease
from core.text import CUT
from tests.core.conftest import Write
from tests.options import limits_with

EVERYBODY = frozenset({"test:*"})
GENEROUS = limits_with(per_minute=6000, burst=1000, max_queued=1000, allow=EVERYBODY)


class Idle:
    """A workforce that records its notifications."""

    def __init__(self) -> None:
        self.interrupted: list[int] = []
        self.notified = 0

    def notify(self) -> None:
        self.notified += 1

    def interrupt(self, turn_id: int) -> None:
        self.interrupted.append(turn_id)


def door(store: Store, clock: ManualClock, limits: Limits = GENEROUS, workforce: Idle | None = None) -> Admission:
    return Admission(store, clock, limits, workforce or Idle())


async def notice_of(admission: Admission, message: Message) -> int | None:
    """The id of the turn that delivers the notice to a refused message, None if there is none."""
    outcome = await admission.accept(message)
    assert isinstance(outcome, Accepted | Refused)
    return outcome.turn_id


async def count_turns(store: Store) -> int:
    return await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns")) or 0)


async def test_same_event_is_taken_once(store: Store, clock: ManualClock, write: Write) -> None:
    """A message delivered twice under the same event key is one turn."""
    admission = door(store, clock)
    assert isinstance(await admission.accept(write("hello", key="k")), Accepted)
    assert isinstance(await admission.accept(write("hello", key="k")), Duplicate)
    assert await count_turns(store) == 1


async def test_any_name_of_an_event_makes_it_a_duplicate(store: Store, clock: ManualClock, write: Write) -> None:
    """A message is a duplicate if any of its event keys was seen before."""
    admission = door(store, clock)
    message = write("hello")
    await admission.accept(message)
    again = Message(
        event_keys=("another", *message.event_keys),
        conversation=message.conversation,
        sender=message.sender,
        text=message.text,
        sent_at=message.sent_at,
    )
    assert isinstance(await admission.accept(again), Duplicate)


async def test_duplicates_are_known_after_a_restart(tmp_path: Path, clock: ManualClock, write: Write) -> None:
    """Event keys survive a restart of the process."""
    url = f"sqlite:///{tmp_path}/p.db"
    async with open_store(url) as store:
        await door(store, clock).accept(write("hello", key="k"))
    async with open_store(url) as store:
        assert isinstance(await door(store, clock).accept(write("hello", key="k")), Duplicate)


async def test_what_a_message_points_at_is_bounded_and_clean(store: Store, clock: ManualClock, write: Write) -> None:
    """Quotes are kept up to a size, the last ones whole, and cleaned; a refused message keeps nothing."""
    admission = door(store, clock, replace(GENEROUS, max_bytes=100))
    told = [Quote(relation=Relation.EARLIER, text=text) for text in ("x" * 9_000, "y" * 900, "\x00", "a\ud800\x00b")]
    for text in ("hello", "/stop", "z" * 101):
        await admission.accept(replace(write(text), quotes=tuple(told), media=(Media.FILE, Media.FILE)))
    parts = sa.select(schema.turns.c.quotes, schema.turns.c.media).order_by(schema.turns.c.id)
    rows = await store.run(lambda c: c.execute(parts).all())
    for quotes, media in rows[:2]:
        assert [quote.text for quote in quotes[1:]] == ["y" * 900, "a\ufffdb"]
        assert sum(len(quote.text) for quote in quotes) <= MAX_QUOTED_CHARACTERS
        assert CUT in quotes[0].text
        assert media == (Media.FILE,)
    assert rows[2] == ((), ())


async def test_refuses_after_burst(store: Store, clock: ManualClock, write: Write) -> None:
    """The fourth message in a burst of three is refused with the time to wait and accepted after it."""
    admission = door(store, clock, limits_with(per_minute=6, burst=3, max_queued=100, allow=EVERYBODY))
    for _ in range(3):
        assert isinstance(await admission.accept(write("hello")), Accepted)
    refused = await admission.accept(write("hello"))
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, Throttled)
    assert refused.error.retry_after == pytest.approx(10)
    clock.advance(refused.error.retry_after)
    assert isinstance(await admission.accept(write("hello")), Accepted)


async def test_rate_limit_is_per_person_in_all_chats(store: Store, clock: ManualClock, write: Write) -> None:
    """The rate limit counts a person's messages in all chats and does not affect others."""
    admission = door(store, clock, limits_with(per_minute=6, burst=1, max_queued=100, allow=EVERYBODY))
    assert isinstance(await admission.accept(write("hello", chat="one")), Accepted)
    assert isinstance(await admission.accept(write("hello", chat="two")), Refused)
    assert isinstance(await admission.accept(write("hello", who="bob")), Accepted)


async def test_flood_gets_one_notice_a_minute(store: Store, clock: ManualClock, write: Write) -> None:
    """Only the first refused message in a minute gets a notice."""
    admission = door(store, clock, limits_with(per_minute=1, burst=1, max_queued=100, allow=EVERYBODY))
    await admission.accept(write("hello"))
    notices = [await notice_of(admission, write("hello")) for _ in range(5)]
    assert notices[0] is not None
    assert notices[1:] == [None] * 4
    clock.advance(NOTICE_EVERY - 30)
    await admission.accept(write("hello"))
    clock.advance(30)
    assert await notice_of(admission, write("hello")) is not None


async def test_a_flood_does_not_notify_the_workforce(store: Store, clock: ManualClock, write: Write) -> None:
    """The workforce is notified of messages and notices, not of refused messages without a notice."""
    workforce = Idle()
    admission = door(store, clock, limits_with(per_minute=1, burst=1, max_queued=100, allow=EVERYBODY), workforce)
    first = write("hello")
    for message in (first, write("hello"), write("hello"), first):
        await admission.accept(message)
    assert workforce.notified == 2


async def test_refusal_is_a_turn_with_its_notice_and_without_the_text(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A refused message becomes a turn with a notice, and its text is not stored."""
    await door(store, clock, limits_with(max_bytes=10, allow=EVERYBODY)).accept(write("x" * 11))
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    claim = await store.run(turns.claim_answered, lease, ["test/w"])
    assert claim is not None
    assert claim.message.text == ""
    assert claim.reply is not None
    assert claim.reply.error == "too_long"
    assert "11 bytes" in claim.reply.text


async def test_size_is_checked_in_bytes_first(store: Store, clock: ManualClock, write: Write) -> None:
    """A megabyte, or forty thousand combining marks, is refused by its size in bytes."""
    admission = door(store, clock)
    for text in ("a" * 1_000_000, "e" + "\u0301" * 40_000):
        refused = await admission.accept(write(text))
        assert isinstance(refused, Refused)
        assert isinstance(refused.error, TooLong)


async def test_strange_text_is_stored(store: Store, clock: ManualClock, write: Write) -> None:
    """A message with lone surrogates and NUL is accepted."""
    assert isinstance(await door(store, clock).accept(write("a\ud800\x00b")), Accepted)


async def test_own_queue_is_bounded(store: Store, clock: ManualClock, write: Write) -> None:
    """A third waiting message of one person is refused, and another person's is accepted."""
    admission = door(store, clock, limits_with(per_minute=6000, burst=1000, max_queued=2, allow=EVERYBODY))
    assert isinstance(await admission.accept(write("one")), Accepted)
    assert isinstance(await admission.accept(write("two")), Accepted)
    refused = await admission.accept(write("three"))
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, QueueFull)
    assert isinstance(await admission.accept(write("one", who="bob")), Accepted)


async def test_busy_when_the_wait_would_be_too_long(store: Store, clock: ManualClock, write: Write) -> None:
    """Without measurements a turn counts five seconds, so with a limit of 20 s the fifth person gets a busy notice."""
    admission = door(store, clock, limits_with(per_minute=6000, burst=1000, max_wait=20, slots=1, allow=EVERYBODY))
    for number in range(5):
        assert isinstance(await admission.accept(write("hello", who=f"p{number}")), Accepted)
    refused = await admission.accept(write("hello", who="late"))
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, Busy)
    assert refused.error.retry_after == pytest.approx(5)


async def test_flooder_does_not_lengthen_the_wait_of_others(store: Store, clock: ManualClock, write: Write) -> None:
    """Turns are served round-robin, so that a hundred messages of one person count as one for another."""
    admission = door(
        store, clock, limits_with(per_minute=6000, burst=1000, max_queued=1000, max_wait=10, allow=EVERYBODY)
    )
    exempt = door(store, clock, limits_with(exempt=frozenset({"test"}), allow=EVERYBODY))
    for _ in range(100):
        await exempt.accept(write("hello", who="flooder"))
    assert isinstance(await admission.accept(write("hello", who="bob")), Accepted)


async def test_exempt_platform_is_not_limited(store: Store, clock: ManualClock, write: Write) -> None:
    """A person on an exempt platform is not rate limited."""
    admission = door(
        store, clock, limits_with(per_minute=1, burst=1, max_queued=1, exempt=frozenset({"test"}), allow=EVERYBODY)
    )
    for _ in range(5):
        assert isinstance(await admission.accept(write("hello")), Accepted)


async def test_nothing_is_accepted_that_is_not_stored(tmp_path: Path, clock: ManualClock, write: Write) -> None:
    """With a full disk `accept` raises, and the same message is accepted once there is room."""
    async with open_store(f"sqlite:///{tmp_path}/p.db") as store:
        pages = await store.run(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        await store.run(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar_one())
        message = write("x" * 10_000)
        with pytest.raises(StoreFull):
            await door(store, clock).accept(message)
        await store.run(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 100000").scalar_one())
        assert isinstance(await door(store, clock).accept(message), Accepted)


async def test_strangers_are_told_their_id(store: Store, clock: ManualClock, write: Write) -> None:
    """A person who is not on the list is refused with the entry to put there."""
    admission = door(store, clock, limits_with(allow=frozenset({"test:ann", "other:*"})))
    assert isinstance(await admission.accept(write("hello", who="ann")), Accepted)
    refused = await admission.accept(write("hello", who="bob"))
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, NotAllowed)
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    notice = await store.run(turns.claim_answered, lease, ["test/w"])
    assert notice is not None
    assert notice.reply is not None
    assert "test:bob" in notice.reply.text


async def test_outsiders_are_allowed_by_name_only(store: Store, clock: ManualClock, write: Write) -> None:
    """An entry for a whole platform does not admit an outsider, and their own entry does."""
    admission = door(store, clock, limits_with(allow=frozenset({"test:*", "test:ann"})))
    for who, outcome in (("ann", Accepted), ("bob", Refused)):
        member = write("hello", who=who)
        outsider = replace(write("hello", who=who), sender=replace(member.sender, is_outsider=True))
        assert isinstance(await admission.accept(outsider), outcome)
        assert await admission.allows(member.sender, member.conversation)
        assert await admission.allows(outsider.sender, outsider.conversation) == (outcome is Accepted)


async def test_no_person_is_allowed_by_default(store: Store, clock: ManualClock, write: Write) -> None:
    """Without a list every person is refused, also with /stop."""
    admission = door(store, clock, limits_with())
    assert isinstance(await admission.accept(write("hello")), Refused)
    assert isinstance(await admission.accept(write("/stop")), Refused)


async def test_stop_interrupts_what_runs_and_ends_what_waits(store: Store, clock: ManualClock, write: Write) -> None:
    """/stop skips the queue and reaches only the sender's turns in this conversation."""
    workforce = Idle()
    admission = door(store, clock, workforce=workforce)
    for text, who, chat in (("one", "ann", "c"), ("two", "ann", "c"), ("three", "bob", "c"), ("four", "ann", "d")):
        await admission.accept(write(text, who=who, chat=chat))
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    running = await store.run(turns.claim_waiting, lease, ["test/w"])
    assert running is not None
    await admission.accept(write("/STOP@parley", who="ann", chat="c"))
    assert workforce.interrupted == [running.id]
    texts = []
    while claim := await store.run(turns.claim_answered, lease, ["test/w"]):
        assert claim.reply is not None
        texts.append((claim.message.text, claim.reply.text))
    assert texts == [("two", "Stopped."), ("/STOP@parley", "Stopped.")]


async def test_stop_without_anything_to_stop(store: Store, clock: ManualClock, write: Write) -> None:
    """/stop without a turn to stop gets an answer that says so."""
    await door(store, clock).accept(write("/stop"))
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    claim = await store.run(turns.claim_answered, lease, ["test/w"])
    assert claim is not None
    assert claim.reply is not None
    assert "nothing to stop" in claim.reply.text


async def test_stop_with_more_words_is_still_a_stop(store: Store, clock: ManualClock, write: Write) -> None:
    """Words after /stop do not make another command of it."""
    accepted = await door(store, clock).accept(write("/stop now please"))
    assert isinstance(accepted, Accepted)
    assert await store.run(lambda c: c.scalar(sa.text("SELECT source FROM turns"))) == "command"


async def test_a_notice_is_in_the_configured_language(store: Store, clock: ManualClock, write: Write) -> None:
    """`chat.locale` decides about the words of a refusal, too."""
    refused = await door(store, clock, limits_with(locale="zh")).accept(write("How are you today?"))
    assert isinstance(refused, Refused)
    assert "管理员" in refused.notice.text


async def test_a_claim_carries_the_language_of_the_bots_own_words(
    store: Store, clock: ManualClock, write: Write
) -> None:
    """A front end shows its own words in the language that admission has found."""
    admission = door(store, clock)
    await admission.accept(write("你好，请介绍一下自己"))
    await admission.accept(write("ok", who="bob"))
    lease = Lease(owner="me", now=clock.now(), until=clock.now() + 10)
    claims = [await store.run(turns.claim_waiting, lease, ["test/w"]) for _ in range(2)]
    assert [claim and claim.locale for claim in claims] == ["zh", "en"]


async def test_takes_part_where_it_was_spoken_to(store: Store, clock: ManualClock, write: Write) -> None:
    """The bot takes part in a conversation if it holds a turn, delivered or not."""
    admission = door(store, clock)
    message = write("hello", chat="here")
    assert not await admission.takes_part(message.conversation)
    await admission.accept(message)
    assert await admission.takes_part(message.conversation)
    assert not await admission.takes_part(write("hello", chat="there").conversation)


async def test_notice_does_not_make_it_take_part(store: Store, clock: ManualClock, write: Write) -> None:
    """A notice to a person who is not on the list does not make the bot take part in the conversation."""
    message = write("hello")
    await door(store, clock, limits_with()).accept(message)
    assert not await door(store, clock).takes_part(message.conversation)


async def test_old_events_are_dropped(store: Store, clock: ManualClock, write: Write) -> None:
    """Event keys older than any redelivery are deleted; younger ones, and those of stored messages, are kept."""
    admission = door(store, clock)
    await store.run(events.remember, ["old"], clock.now())
    await admission.accept(write("stored", key="stored"))
    clock.advance(100)
    await store.run(events.remember, ["young"], clock.now())
    assert await store.run(events.purge, clock.now() - 50, 9, newest=0) == 1
    for key in ("stored", "young"):
        assert isinstance(await admission.accept(write("again", key=key)), Duplicate)


async def test_messages_are_counted_by_outcome(store: Store, clock: ManualClock, write: Write) -> None:
    """Accepted, seen before, and refused, by the kind of the refusal; what is refused without a notice counts too."""
    measures = Measures()
    limits = limits_with(per_minute=1, burst=1, allow=EVERYBODY)
    admission = Admission(store, clock, limits, Idle(), measures)
    for key in ("a", "a", "b", "c"):
        await admission.accept(write("hello", key=key))
    await admission.overhear(write("not for the bot", chat="other"))
    found = {
        outcome: measures.registry.get_sample_value("parley_messages_total", {"platform": "test", "outcome": outcome})
        for outcome in ("accepted", "duplicate", "throttled", "ignored")
    }
    assert found == {"accepted": 1, "duplicate": 1, "throttled": 2, "ignored": 1}
