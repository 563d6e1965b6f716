"""The answer cache: serves frequent questions whose answer depends neither on the person nor on the history."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from cachetools import TTLCache

from core.engine.protocol import Engine
from core.language import reply_language
from core.messages import NO_USAGE, Finish, Locale, Person, Reply, Source, Turn
from core.pipeline import Handler, Stage
from core.questions import same_question, stands_alone
from core.store import Store, turns
from core.text import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey:
    """Everything that an answer depends on: the question, the language, and the model with persona and knowledge."""

    question: bytes
    language: Locale
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    reply: Reply
    asked_by: str
    turn_id: int


class AnswerCache:
    """An LRU cache of answers that expire after `ttl` seconds. Questions are stored as digests only."""

    def __init__(self, *, size: int, ttl: float, timer: Callable[[], float]) -> None:
        self._entries: TTLCache[SharedKey, _Entry] = TTLCache(size, ttl, timer)
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: SharedKey, store: Store) -> Reply | None:
        """The cached answer, if its turn stands; counts a hit or a miss.

        A turn may be deleted by another gateway, or while its answer was on the way into the cache.
        """
        entry = self._entries.get(key)
        if entry is None or not await store.read(turns.stands, [entry.turn_id]):
            self.misses += 1
            return None
        self.hits += 1
        return entry.reply

    def put(self, key: SharedKey, reply: Reply, turn: Turn) -> None:
        """Cache the answer to the question of a turn."""
        self._entries[key] = _Entry(reply=reply, asked_by=str(turn.message.sender), turn_id=turn.id)

    def forget(self, person: Person) -> None:
        """Remove the answers to this person's questions."""
        self._remove(lambda entry: entry.asked_by == str(person))

    def forget_turn(self, turn_id: int) -> None:
        """Remove the answer that a turn has cached."""
        self._remove(lambda entry: entry.turn_id == turn_id)

    async def check(self, store: Store) -> None:
        """Remove the answers whose turns do not stand any more."""
        known = {entry.turn_id for entry in self._entries.values()}
        gone = known - await store.read(turns.stands, known) if known else known
        self._remove(lambda entry: entry.turn_id in gone)

    def _remove(self, is_meant: Callable[[_Entry], bool]) -> None:
        for key, entry in list(self._entries.items()):
            if is_meant(entry):
                del self._entries[key]


def cache(answers: AnswerCache, engine: Engine, revision: Callable[[], str], store: Store) -> Stage:
    """The stage that serves a cached answer, or caches the model's.

    An answer is cached only if it was generated without history, quotes and media. `revision` identifies persona and
    knowledge as they are now; it is part of the key, like the model's name.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        text = turn.message.text
        if turn.message.again or turn.message.quotes or turn.message.media or (turn.history and not stands_alone(text)):
            return await call_next(turn)
        key = SharedKey(
            question=digest(same_question(text)),
            language=reply_language(turn),
            revision=f"{await engine.identity()} {revision()}",
        )
        if found := await answers.get(key, store):
            await turn.sink(found.text)
            return replace(found, source=Source.CACHE, usage=NO_USAGE)
        reply = await call_next(turn)
        if not turn.history and reply.source is Source.MODEL and reply.finish is Finish.STOP:
            answers.put(key, reply, turn)
        return reply

    return stage
