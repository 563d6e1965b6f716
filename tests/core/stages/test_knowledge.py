from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest

from core.engine.scripted import ScriptedEngine
from core.intent import Intent, IntentReader
from core.knowledge.passages import Findings, Match, Passage, Thresholds
from core.messages import Choice, Exchange, Finish, Locale, Message, Quote, Relation, Reply, Source, Turn
from core.stages.knowledge import GROUNDS, Expertise, knowledge
from tests.core.conftest import Write

BARS = Thresholds(answer=0.8, ground=0.5, suggest=0.3)
QUOTED = Quote(relation=Relation.REPLIED, text="a quote")


def passage(number: int, *, is_answer: bool = False) -> Passage:
    text, heading = f"text {number}", f"heading {number}"
    return Passage(
        id=f"a#{number}", entry=f"a#{number}", language="en", text=text, file="a", heading=heading, is_answer=is_answer
    )


@dataclass
class Known:
    """Knowledge with these matches for every question."""

    matches: tuple[Match, ...]
    asked: list[str] = field(default_factory=list)
    version: str = "1"

    async def search(self, question: str, *, language: Locale) -> Findings:
        self.asked.append(f"{language} {question}")
        return Findings(question=question, matches=self.matches, version=self.version)

    async def with_passage(self, passage: Passage) -> Self:
        return self


@dataclass
class Scene:
    """A stage over matches with these scores, and what came out of it."""

    known: Known
    written: Reply = field(default_factory=lambda: Reply(text="written", source=Source.MODEL))
    shown: list[str] = field(default_factory=list)
    passed: list[Turn] = field(default_factory=list)
    has_people: bool = False

    async def answer(
        self,
        message: Message,
        *,
        strict: bool = False,
        intent: Intent = Intent.QUESTION,
        history: tuple[Exchange, ...] = (),
    ) -> Reply:
        async def sink(piece: str) -> None:
            self.shown.append(piece)

        async def rest(turn: Turn) -> Reply:
            self.passed.append(turn)
            return self.written

        engine = ScriptedEngine.fixed()
        engine.intent = lambda _: intent
        intents = IntentReader(engine)
        expertise = Expertise(knowledge=self.known, folder=Path(), intents=intents, strict=strict)
        stage = knowledge(expertise, has_people=self.has_people)
        return await stage(Turn(id=1, message=message, sink=sink, history=history), rest)


def scene(*scores: float, is_answer: bool = False) -> Scene:
    found = enumerate(scores, 1)
    return Scene(
        Known(
            tuple(
                Match(passage=passage(n, is_answer=is_answer), score=s, thresholds=BARS, coverage=s) for n, s in found
            )
        )
    )


async def test_a_sure_answer_is_said_word_for_word(write: Write) -> None:
    """The model is not asked, and the entry is named. Follow-ups know of it."""
    at = scene(0.9, 0.6, is_answer=True)
    reply = await at.answer(write("When are you open?"))
    assert (reply.text, reply.source, reply.cites) == ("text 1", Source.KNOWLEDGE, "From: heading 1")
    assert (at.shown, at.passed) == (["text 1"], [])
    assert reply.tokens > 0


@pytest.mark.parametrize("asked_again", [True, False])
async def test_the_model_answers_from_passages(write: Write, *, asked_again: bool) -> None:
    """From the best passages, the very best last, if none is an answer in itself or the question is asked again."""
    at = scene(0.9, 0.8, 0.7, 0.6, 0.4, is_answer=asked_again)
    message = replace(write("When are you open?"), again=7 if asked_again else 0, quotes=(QUOTED,))
    reply = await at.answer(message)
    *known, last = at.passed[0].message.quotes
    assert [quote.text for quote in known] == ["text 3", "text 2", "text 1"]
    assert {quote.relation for quote in known} == {Relation.KNOWN}
    assert (len(known), last) == (GROUNDS, QUOTED)
    assert (reply.text, reply.cites) == ("written", "From: heading 1")


@pytest.mark.parametrize("finish", [Finish.STOPPED, Finish.TIMEOUT])
async def test_a_broken_answer_cites_nothing(write: Write, finish: Finish) -> None:
    """What is cut short does not claim to rest on anything."""
    at = scene(0.6)
    at.written = replace(at.written, finish=finish)
    assert (await at.answer(write("When are you open?"))).cites == ""


async def test_without_a_passage_the_model_answers_alone(write: Write) -> None:
    """What is not known is left to the model, which is given no passage and cites none."""
    at = scene(0.4)
    assert await at.answer(write("When are you open?")) == at.written
    assert at.passed[0].message.quotes == ()


@pytest.mark.parametrize(
    ("intent", "is_refused"),
    [(Intent.QUESTION, True), (Intent.OTHER, True), (Intent.THANKS, False), (Intent.SMALLTALK, False)],
)
async def test_strictly_only_what_is_known_is_answered(write: Write, intent: Intent, *, is_refused: bool) -> None:
    """Without a passage nothing but thanks and small talk is answered, whatever else the model takes it for."""
    at = scene(0.4)
    reply = await at.answer(write("How deep is the sea?"), strict=True, intent=intent)
    assert (reply.error == "not_known") == is_refused
    assert bool(at.passed) != is_refused


async def test_a_refusal_suggests_what_may_have_been_meant(write: Write) -> None:
    """The likeliest questions that have an answer are numbered, if the first one is likely enough."""
    reply = await scene(0.4, 0.2, 0.2, 0.1, is_answer=True).answer(write("How deep is the sea?"), strict=True)
    assert reply.suggestions == ("heading 1", "heading 2", "heading 3")
    assert reply.text.endswith("Tell me its number.\n1. heading 1\n2. heading 2\n3. heading 3")
    assert reply.error == "not_known"


@pytest.mark.parametrize(("score", "is_answer"), [(0.2, True), (0.4, False)])
async def test_nothing_unlikely_is_suggested(write: Write, score: float, *, is_answer: bool) -> None:
    """Neither a question that is hardly alike, nor a section of a document, whose heading is no question."""
    reply = await scene(score, is_answer=is_answer).answer(write("How deep is the sea?"), strict=True)
    assert (reply.text, reply.suggestions) == ("I do not know that.", ())


@pytest.mark.parametrize("has_people", [True, False])
async def test_where_people_can_be_asked_they_are_offered(write: Write, *, has_people: bool) -> None:
    """A refusal has a button for a person if a help desk is configured, on platforms with buttons."""
    at = scene(0.4)
    at.has_people = has_people
    message = write("How deep is the sea?")
    there = replace(message, conversation=replace(message.conversation, platform="telegram"))
    assert (await at.answer(there, strict=True)).choices == ((Choice.ASK,) if has_people else ())
    console = replace(message, conversation=replace(message.conversation, platform="console"))
    assert (await at.answer(console, strict=True)).choices == ()


@pytest.mark.parametrize("text", ["ok, thanks!", "好的", ""])
async def test_nothing_is_looked_up_for_a_pleasantry(write: Write, text: str) -> None:
    """After an answer, thanks do not bring it again, and no strictness refuses them."""
    at = scene(0.9, is_answer=True)
    before = (Exchange(question="What does shipping cost?", answer="4.90", tokens=9),)
    assert await at.answer(write(text), strict=True, history=before) == at.written
    assert at.known.asked == []


async def test_a_follow_up_gets_no_answer_twice(write: Write) -> None:
    """If the search finds the words that were just said, the model answers from them. Other questions get them."""
    at = scene(0.9, is_answer=True)
    before = (Exchange(question="How can I pay?", answer="text 1", tokens=9),)
    assert (await at.answer(write("and by cheque?"), history=before)).source is Source.MODEL
    assert [quote.text for quote in at.passed[0].message.quotes] == ["text 1"]
    assert (await at.answer(write("How can I pay you?"), history=before)).source is Source.KNOWLEDGE


async def test_a_follow_up_is_searched_with_what_it_leans_on(write: Write) -> None:
    """The question before goes along with one that is not understood alone."""
    at = scene(0.4)
    before = (Exchange(question="What does shipping cost?", answer="4.90", tokens=9),)
    await at.answer(write("and for shoes?"), history=before)
    await at.answer(write("When do you open on Mondays?"), history=before)
    await at.answer(write("Tell me a story about a cat"), history=before)  # personal, but of another topic
    assert at.known.asked == [
        "en What does shipping cost?\nand for shoes?",
        "en When do you open on Mondays?",
        "en Tell me a story about a cat",
    ]


async def test_without_knowledge_nothing_is_searched(write: Write) -> None:
    """A bot without a folder answers as ever."""
    passed: list[Turn] = []

    async def rest(turn: Turn) -> Reply:
        passed.append(turn)
        return Reply(text="ok", source=Source.MODEL)

    async def sink(piece: str) -> None:
        raise AssertionError(piece)

    turn = Turn(id=1, message=write("When are you open?"), sink=sink)
    await knowledge(None, has_people=True)(turn, rest)
    assert passed == [turn]
