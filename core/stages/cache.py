"""Answers a frequent question from memory, where the answer cannot depend on who asks or what was said before."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from cachetools import TTLCache

from core.engine.protocol import Engine
from core.language import reply_language
from core.messages import NO_USAGE, Finish, Locale, Person, Reply, Source, Turn
from core.pipeline import Handler, Stage
from core.text import digest

LEANS_ON_WHAT_WAS_SAID = re.compile(
    r"""^\W*(and|but|so|or|then|also|why|really|what\ about|how\ about|go\ on)\b
    | \b(it|its|that|this|these|those|they|them|their|he|she|him|his|her|ones?|there|again|same|other|another|both)\b
    | \b(else|more|instead|above|previous|before|earlier|last|next|first|second|third|former|latter|continue)\b
    | \b(me|my|mine|i'm|im|am\ i|did\ i|remember|said|say|told|tell|mean|meant)\b
    | [它他她这那哪]|其中|另外|还有|刚才|上面|前面|之前|以前|再|继续|我的|我叫|我是|我说|记得|说过|第[一二三]|别的|其他
    | ^(然后|所以|但是|而且|为什么|那|还|也)|呢\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
WORDS = re.compile(r"[\u3400-\u9fff]|\w+")
FEWEST_WORDS = 3
"""A shorter text ("why?", "yes please") means something only after something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey:
    """What must be equal for one person's answer to serve another: the question and all that shaped its answer."""

    question: bytes
    language: Locale
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    reply: Reply
    asked_by: str


class AnswerCache:
    """The least recently used answers go first, and each one after `ttl` seconds. Holds no question, only digests."""

    def __init__(self, *, size: int, ttl: float, timer: Callable[[], float]) -> None:
        self._entries: TTLCache[SharedKey, _Entry] = TTLCache(size, ttl, timer)
        self.hits = 0
        self.misses = 0

    def get(self, key: SharedKey) -> Reply | None:
        """The answer kept for a question; counts a hit or a miss."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        return entry.reply

    def put(self, key: SharedKey, reply: Reply, person: Person) -> None:
        """Keep an answer; `person` is who asked first."""
        self._entries[key] = _Entry(reply=reply, asked_by=str(person))

    def forget(self, person: Person) -> None:
        """Drop the answers to a person's questions."""
        for key, entry in list(self._entries.items()):
            if entry.asked_by == str(person):
                del self._entries[key]


def cache(answers: AnswerCache, engine: Engine, revision: str) -> Stage:
    """The stage that looks for an answer before the model is asked, and keeps what it then says.

    Only answers made without a history are kept, and none where the message points at something. `revision` names
    persona and knowledge: another one, or another model, finds nothing of what was kept before.
    """

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        text = turn.message.text
        if turn.anew or turn.message.context or (turn.history and not stands_alone(text)):
            return await call_next(turn)
        key = SharedKey(
            question=digest(normalised(text)),
            language=reply_language(turn),
            revision=f"{await engine.identity()} {revision}",
        )
        if found := answers.get(key):
            await turn.sink(found.text)
            return replace(found, source=Source.CACHE, usage=NO_USAGE)
        reply = await call_next(turn)
        if not turn.history and reply.source is Source.MODEL and reply.finish is Finish.STOP:
            answers.put(key, reply, turn.message.sender)
        return reply

    return stage


def normalised(question: str) -> str:
    """The question without what does not change its meaning: width, case, spacing, closing punctuation."""
    folded = unicodedata.normalize("NFKC", question).casefold()
    return " ".join(folded.split()).rstrip(" .!?。！？~～")


def stands_alone(question: str) -> bool:
    """Whether a question means the same whatever was said before it. In doubt it does not."""
    return len(WORDS.findall(question)) >= FEWEST_WORDS and not LEANS_ON_WHAT_WAS_SAID.search(question)
