"""Conversations as an operator reads them."""

from pathlib import Path

import pytest

from core.clock import ManualClock
from core.messages import WITHDRAWN, ConversationKey, Label, Media, Message, Mood, Person, Reply, Source
from core.store import Store, amendments, conversations, people, records, turns, votes
from core.store.history import Keeping
from tests.core.conftest import Write
from tests.core.store.test_records import Scene

ANN, BOB = (Person(platform="test", workspace="w", id=name) for name in ("ann", "bob"))
ROOM = ConversationKey(platform="test", workspace="w", chat="room")


@pytest.fixture
def scene(store: Store, clock: ManualClock, write: Write, tmp_path: Path) -> Scene:
    return Scene(store, clock, write, tmp_path)  # type: ignore[arg-type]  # no file is read


async def chats(store: Store, before: int = 0, limit: int = 50) -> list[str]:
    return [listed.key.chat for listed in await store.read(conversations.page, before, limit)]


async def test_conversations_come_latest_first(scene: Scene) -> None:
    """Each is listed once, with its size, where its last turn is; a page begins behind the one before."""
    for chat in ("a", "b", "c", "a", "c"):
        scene.clock.advance(1)
        await scene.ask("hello", ANN, chat)
    page = await scene.store.read(conversations.page)
    assert [(listed.key.chat, listed.turns, listed.last_turn) for listed in page] == [
        ("c", 2, 5),
        ("a", 2, 4),
        ("b", 1, 2),
    ]
    assert page[1].last_at == scene.clock.now() - 1
    assert await chats(scene.store, limit=2) == ["c", "a"]
    assert await chats(scene.store, before=4) == ["b"]
    assert await chats(scene.store, before=2) == []


async def test_what_was_said_is_read_with_its_answer(scene: Scene) -> None:
    """Question, reply, source, mood, votes and times of all people of a conversation, oldest first."""
    await scene.ask("hello", ANN, "room", media=(Media.PICTURE,))
    claim = await scene.claim()
    scene.clock.advance(3)
    mood = Mood(label=Label.POSITIVE, confidence=0.9)
    reply = Reply(text="hi there", source=Source.MODEL, mood=mood)
    await scene.store.run(turns.finish, claim, "me", reply, scene.clock.now(), Keeping(max_tokens=9, shared=False))
    await scene.store.run(votes.cast, 1, ANN, 1, 0.0)
    await scene.store.run(votes.cast, 1, BOB, -1, 0.0)
    await scene.ask("me too", BOB, "room")
    await scene.ask("elsewhere", BOB, "other")
    extract = await scene.store.read(conversations.said, ROOM)
    first, second = extract.turns
    assert (first.text, first.reply, first.source, first.mood) == ("hello", "hi there", "model", Label.POSITIVE)
    assert (first.person, first.media, sorted(first.votes)) == (ANN, (Media.PICTURE,), [-1, 1])
    assert first.replied_at == first.sent_at + 3
    assert (second.person, second.text, second.reply, second.replied_at, second.votes) == (
        BOB,
        "me too",
        None,
        None,
        (),
    )
    assert extract.before == 0


async def test_a_conversation_is_read_in_parts(scene: Scene) -> None:
    """Each part has the turns before those of the one before, and the last one says that there are no more."""
    for number in range(5):
        await scene.ask(str(number), ANN, "room")
    parts, before = [], 0
    while True:
        extract = await scene.store.read(conversations.said, ROOM, before, limit=2)
        parts.append([spoken.text for spoken in extract.turns])
        before = extract.before
        if not before:
            break
    assert parts == [["3", "4"], ["1", "2"], ["0"]]


async def test_what_is_gone_for_its_sender_is_not_read(scene: Scene) -> None:
    """Neither a withdrawn message nor what is left of somebody who is being forgotten is shown."""
    kept = await scene.ask("canary kept", BOB, "room")
    gone = await scene.ask("canary gone", BOB, "room")
    await scene.ask("canary forgotten", ANN, "room")
    row = await scene.store.read(amendments.find, gone)
    assert row
    await scene.store.run(amendments.amend, row, {}, 1.0, WITHDRAWN)
    await scene.store.run(records.forget, ANN, 0)
    extract = await scene.store.read(conversations.said, ROOM)
    assert [spoken.turn for spoken in extract.turns] == [kept]


async def test_words_to_operators_are_read_once(scene: Scene) -> None:
    """What a customer says in a hand-off is their text; that operators were shown it is no answer."""
    person = await scene.store.run(people.find_or_add, ANN)
    message = Message(event_keys=(), conversation=ROOM, sender=ANN, text="is anybody there?", sent_at=1.0)
    passed_on = Reply(text="is anybody there?", source=Source.PERSON)
    await scene.store.run(turns.add, person.id, message, "en", 1.0, passed_on, handoff_id=1, desk_front="test/desk")
    (spoken,) = (await scene.store.read(conversations.said, ROOM)).turns
    assert (spoken.text, spoken.reply) == ("is anybody there?", "")
