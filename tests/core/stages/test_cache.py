from dataclasses import replace

import pytest

from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.messages import NO_USAGE, Exchange, Finish, Locale, Message, Reply, Source, Turn, Usage
from core.stages.cache import AnswerCache, cache
from core.store import Store, people, turns
from tests.core.conftest import Write

EARLIER = (Exchange(question="I am Ann", answer="Hello Ann", tokens=9),)


class Asked:
    """The cache stage in front of a model that counts its calls."""

    def __init__(self, answers: AnswerCache, store: Store, *, model: str = "m", revision: str = "r") -> None:
        self.calls = 0
        self.finish = Finish.STOP
        self.shown: list[str] = []
        self.stage = cache(answers, ScriptedEngine(ScriptedEngine.fixed().script, name=model), lambda: revision, store)

    async def ask(self, message: Message, *, history: tuple[Exchange, ...] = (), locale: Locale = "en") -> Reply:
        turn = Turn(id=1, message=message, sink=self.sink, history=history, locale=locale)
        return await self.stage(turn, self.model)

    async def model(self, turn: Turn) -> Reply:
        self.calls += 1
        return Reply(
            text=f"answer {self.calls} to {turn.message.sender.id}",
            source=Source.MODEL,
            finish=self.finish,
            usage=Usage(prompt_tokens=1),
            tokens=7,
        )

    async def sink(self, piece: str) -> None:
        self.shown.append(piece)


@pytest.fixture
async def store(sqlite_store: Store, write: Write) -> Store:
    """A store with the turn of the questions."""
    person = await sqlite_store.run(people.find_or_add, write("").sender)
    assert await sqlite_store.run(turns.add, person.id, write("asked"), "en", 1.0) == 1
    return sqlite_store


@pytest.fixture
def answers(clock: ManualClock) -> AnswerCache:
    return AnswerCache(size=2, ttl=60, timer=clock.monotonic)


async def test_same_question_of_another_person_is_answered_from_memory(
    answers: AnswerCache, store: Store, write: Write
) -> None:
    """A repeated question, with other spaces and punctuation, is answered from the cache without the model."""
    asked = Asked(answers, store)
    first = await asked.ask(write("When do you open?", who="ann"))
    second = await asked.ask(write("  when do  you open ", who="bob"))
    assert asked.calls == 1
    assert second == replace(first, source=Source.CACHE, usage=NO_USAGE)
    assert asked.shown == [first.text]
    assert (answers.hits, answers.misses) == (1, 1)


async def test_answer_made_with_a_history_is_never_shared(answers: AnswerCache, store: Store, write: Write) -> None:
    """An answer made with a history is not cached, because it may contain what was said before."""
    asked = Asked(answers, store)
    await asked.ask(write("When do you open today?", who="ann"), history=EARLIER)
    await asked.ask(write("When do you open today?", who="bob"))
    assert asked.calls == 2


async def test_question_that_stands_alone_is_found_in_mid_conversation(
    answers: AnswerCache, store: Store, write: Write
) -> None:
    """A person with a history gets the cached answer to a question that needs no history."""
    asked = Asked(answers, store)
    await asked.ask(write("When do you open today?"))
    reply = await asked.ask(write("When do you open today?"), history=EARLIER)
    assert reply.source is Source.CACHE


async def test_follow_up_is_not_answered_from_memory(answers: AnswerCache, store: Store, write: Write) -> None:
    """A follow-up such as "and the other one?" is never answered from the cache."""
    asked = Asked(answers, store)
    await asked.ask(write("and the other one?"))
    reply = await asked.ask(write("and the other one?"), history=EARLIER)
    assert reply.source is Source.MODEL


@pytest.mark.parametrize("change", [{"model": "other"}, {"revision": "other"}])
async def test_another_model_or_persona_finds_nothing(
    answers: AnswerCache, store: Store, write: Write, change: dict[str, str]
) -> None:
    """A cached answer is not used for another model or persona."""
    await Asked(answers, store).ask(write("When do you open?"))
    other = Asked(answers, store, **change)
    await other.ask(write("When do you open?"))
    assert other.calls == 1


async def test_languages_do_not_mix(answers: AnswerCache, store: Store, write: Write) -> None:
    """The same question in another locale is answered by the model."""
    asked = Asked(answers, store)
    await asked.ask(write("WiFi?"), locale="en")
    await asked.ask(write("WiFi?"), locale="zh")
    assert asked.calls == 2


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.TIMEOUT, Finish.ERROR])
async def test_unfinished_answer_is_not_kept(answers: AnswerCache, store: Store, write: Write, finish: Finish) -> None:
    """An incomplete answer is not cached."""
    asked = Asked(answers, store)
    asked.finish = finish
    await asked.ask(write("When do you open?"))
    await asked.ask(write("When do you open?"))
    assert asked.calls == 2


async def test_answers_expire(answers: AnswerCache, store: Store, write: Write, clock: ManualClock) -> None:
    """After its time to live a cached answer is made again."""
    asked = Asked(answers, store)
    await asked.ask(write("When do you open?"))
    clock.advance(61)
    await asked.ask(write("When do you open?"))
    assert asked.calls == 2


async def test_least_recently_used_goes_first(answers: AnswerCache, store: Store, write: Write) -> None:
    """In a cache of two, a third question evicts the least recently used one."""
    asked = Asked(answers, store)
    for text in ("one?", "two?", "one?", "three?", "one?"):
        await asked.ask(write(text))
    assert asked.calls == 3
    await asked.ask(write("two?"))
    assert asked.calls == 4


async def test_the_answer_of_one_turn_can_be_forgotten(answers: AnswerCache, store: Store, write: Write) -> None:
    """The answer that a turn has cached is removed, and no other."""
    asked = Asked(answers, store)
    await asked.ask(write("When do you open?"))
    answers.forget_turn(2)
    await asked.ask(write("When do you open?"))
    assert asked.calls == 1
    answers.forget_turn(1)
    await asked.ask(write("When do you open?"))
    assert asked.calls == 2
