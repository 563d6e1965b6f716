"""The whole pipeline of a turn, with the scripted engine."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from core.chat import chatbot
from core.clock import ManualClock
from core.engine.deadline import IdleTimeoutEngine
from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.faces import ShowMood
from core.messages import Author, Finish, Label, Locale, Media, Message, Quote, Relation, Reply, Source, Turn
from core.pipeline import Handler
from core.prompt import HINTS, Persona
from core.stages.cache import AnswerCache
from core.stages.generate import ReplyLimits
from core.stages.mood import MoodReader
from core.stages.retry import PAUSE
from core.store import Store, history, open_store, people, turns
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import chat_with

Ask = Callable[..., Awaitable[Reply]]


class Conversation:
    """Runs messages through the pipeline and commits their turns as the worker does."""

    def __init__(self, store: Store, clock: ManualClock, write: Write, bot: Handler) -> None:
        self.store = store
        self.clock = clock
        self.write = write
        self.bot = bot
        self.pieces: list[str] = []

    async def ask(self, text: str, *quotes: Quote, **where: str) -> Reply:
        return await self.say(replace(self.write(text, **where), quotes=quotes))

    async def say(self, message: Message) -> Reply:
        person = await self.store.run(people.hear, message.sender, message.text)
        locale = person.languages.own_words(None)
        await self.store.run(turns.add, person.id, message, locale, self.clock.now())
        now = self.clock.now()
        claim = await self.store.run(turns.claim_waiting, Lease(owner="me", now=now, until=now + 10), ["test/w"])
        assert claim is not None
        reply = await self.bot(Turn(id=claim.id, message=claim.message, locale=claim.locale, sink=self.sink))
        await self.store.run(turns.finish, claim, "me", reply, self.clock.now(), Keeping(max_tokens=1000, shared=False))
        await self.store.run(turns.mark_delivered, claim, "me")
        return reply

    async def sink(self, piece: str) -> None:
        self.pieces.append(piece)


@pytest.fixture
def answers(clock: ManualClock) -> AnswerCache:
    return AnswerCache(size=2, ttl=60, timer=clock.monotonic)


class Talk(Protocol):
    """Begins a conversation with a bot."""

    def __call__(self, engine: Engine, show_mood: ShowMood = "felt") -> Conversation: ...


@pytest.fixture
def talk(store: Store, clock: ManualClock, write: Write, persona: Persona, answers: AnswerCache) -> Talk:
    options = chat_with(persona=persona, max_input_tokens=20, reply=ReplyLimits(max_tokens=50, total_timeout=120))

    def begin(engine: Engine, show_mood: ShowMood = "felt") -> Conversation:
        chosen = replace(options, show_mood=show_mood)
        timed = IdleTimeoutEngine(engine, clock, 30)
        bot = chatbot(store, timed, MoodReader(timed), answers, clock, chosen)
        return Conversation(store, clock, write, bot)

    return begin


async def out_of_time(clock: ManualClock, asked: asyncio.Task[Reply]) -> Reply:
    """Wait for the reply; whenever every task sleeps, advance the clock."""
    while not asked.done():
        remaining = await first_of(asked, clock.until_sleeping())
        for _ in range(100):
            await asyncio.sleep(0)
        if remaining and not asked.done() and (left := await first_of(asked, clock.until_sleeping())):
            clock.advance(left[0])
    return await asked


async def first_of(asked: asyncio.Task[Reply], sleeping: Coroutine[None, None, list[float]]) -> list[float]:
    """The remaining sleeps, empty once the reply is there."""
    waiting = asyncio.create_task(sleeping)
    await asyncio.wait({asked, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    return []


async def test_reply_is_streamed_and_returned_whole(talk: Talk) -> None:
    """The streamed pieces form the reply, which names its source, finish and usage."""
    chat = talk(ScriptedEngine.fixed("Nice to meet you."))
    reply = await chat.ask("hello there friend")
    assert "".join(chat.pieces) == reply.text == "Nice to meet you."
    assert (reply.source, reply.finish) == (Source.MODEL, Finish.STOP)
    assert reply.tokens > reply.usage.completion_tokens > 0


async def test_model_reads_persona_history_and_message(talk: Talk) -> None:
    """The second prompt holds the persona, the first exchange and the second message, in this order."""
    engine = ScriptedEngine.replying(lambda prompt: f"answer {len(prompt)}")
    chat = talk(engine)
    await chat.ask("first")
    await chat.ask("second")
    assert [(m.role, m.content) for m in engine.prompts[1]] == [
        ("system", "You are a test."),
        ("user", "first"),
        ("assistant", "answer 2"),
        ("user", "second"),
    ]


async def test_history_is_of_one_person_in_one_conversation(talk: Talk) -> None:
    """A prompt holds no words of another person in the chat, nor of the same person in another chat."""
    engine = ScriptedEngine.echo()
    chat = talk(engine)
    await chat.ask("canary alpha", who="ann", chat="room")
    assert "canary" not in (await chat.ask("what do you know", who="bob", chat="room")).text
    assert "canary" not in (await chat.ask("and what here", who="ann", chat="elsewhere")).text
    assert "canary" in (await chat.ask("what do we say now then", who="ann", chat="room")).text


async def test_mood_steers_the_reply_from_the_end_of_the_prompt(talk: Talk) -> None:
    """A sad message gets a hint after its text, in its language, and the hint is not part of the history."""
    engine = ScriptedEngine.fixed("ok", mood=lambda text: Label.NEGATIVE if "lost" in text or "丢" in text else None)
    chat = talk(engine)
    reply = await chat.ask("I lost my keys")
    assert reply.mood is not None
    assert reply.mood.label is Label.NEGATIVE
    assert engine.prompts[0][-1].content.endswith(HINTS["en"][Label.NEGATIVE])
    await chat.ask("我的钥匙丢了")
    assert engine.prompts[1][-1].content.endswith(HINTS["zh"][Label.NEGATIVE])
    assert [m.content for m in engine.prompts[1][1:2]] == ["I lost my keys"]


async def test_mood_prompt_holds_nothing_but_the_message(talk: Talk) -> None:
    """The mood prompt holds neither persona nor history."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    await chat.ask("first words")
    await chat.ask("second words")
    asked = [" ".join(m.content for m in prompt) for prompt in engine.first_token_prompts]
    assert not any("first words" in text and "second words" in text for text in asked)
    assert not any("You are a test" in text for text in asked)


async def test_language_is_that_of_the_first_message(talk: Talk) -> None:
    """After a first sentence in Chinese the bot's own words are Chinese until the person chooses otherwise."""
    chat = talk(ScriptedEngine.fixed("好"))
    await chat.ask("你好呀")
    assert "命令" in (await chat.ask("/help")).text
    assert "English" in (await chat.ask("/lang en")).text
    assert "commands" in (await chat.ask("/help")).text


async def test_the_model_follows_a_switch_of_language_at_once(talk: Talk) -> None:
    """The prompt's persona is in the language of the message, regardless of earlier ones."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    await chat.ask("你好呀，在吗")
    await chat.ask("where are you from?")
    assert [prompt[0].content for prompt in engine.prompts] == ["你是测试。", "You are a test."]


async def test_the_bots_own_words_follow_after_two_sentences(talk: Talk) -> None:
    """One sentence in another language leaves the bot's own words as they were; the second one switches them."""
    chat = talk(ScriptedEngine.fixed("ok"))
    await chat.ask("你好呀，在吗")
    await chat.ask("where are you from?")
    assert "命令" in (await chat.ask("/help")).text
    await chat.ask("and how old are you?")
    assert "commands" in (await chat.ask("/help")).text


async def test_the_model_replies_in_the_chosen_language(talk: Talk) -> None:
    """After /lang zh the persona is the Chinese one, even for a message in English."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    await chat.ask("/lang zh")
    await chat.ask("where are you from?")
    assert engine.prompts[0][0].content == "你是测试。"


async def test_platform_hints_at_the_language_where_words_do_not(talk: Talk) -> None:
    """A new person whose first message is a command is answered in the platform's language."""
    chat = talk(ScriptedEngine.fixed("ok"))
    message = chat.write("/help", who="newcomer")
    reply = await chat.say(replace(message, sender=replace(message.sender, locale="zh")))
    assert "命令" in reply.text


async def test_language_is_kept_per_person(talk: Talk) -> None:
    """One person's language does not affect another's."""
    chat = talk(ScriptedEngine.fixed("ok"))
    await chat.ask("/lang zh", who="ann")
    assert "commands" in (await chat.ask("/help", who="bob")).text


async def test_empty_message_is_answered_without_the_model(talk: Talk) -> None:
    """A message without words gets a notice, and the model is not called."""
    engine = ScriptedEngine.fixed()
    reply = await talk(engine).ask("")
    assert (reply.source, reply.error) == (Source.REFUSAL, "empty_text")
    assert engine.prompts == []


async def test_too_many_tokens_are_refused_and_not_cut(talk: Talk) -> None:
    """A text over the token limit gets a notice with its length and does not reach the model."""
    engine = ScriptedEngine.fixed()
    reply = await talk(engine).ask(" ".join(["word"] * 21))
    assert reply.error == "too_long"
    assert "21 tokens" in reply.text
    assert engine.prompts == []


async def test_text_of_few_tokens_and_many_bytes_passes(talk: Talk) -> None:
    """The limit is in tokens, so a long word of one token is accepted."""
    assert (await talk(ScriptedEngine.fixed("ok")).ask("x" * 100)).source is Source.MODEL


async def test_commands_work_while_the_model_is_down(talk: Talk) -> None:
    """/help is answered while the model is unavailable."""
    assert (await talk(ScriptedEngine.unavailable()).ask("/help")).source is Source.COMMAND


async def test_unknown_command_is_named(talk: Talk) -> None:
    """A mistyped command gets a notice that names it, and the model is not called."""
    reply = await talk(ScriptedEngine.fixed()).ask("/hlep")
    assert "/hlep" in reply.text
    assert reply.source is Source.COMMAND


async def test_path_is_not_a_command(talk: Talk) -> None:
    """A message that begins with a file's path is ordinary text."""
    assert (await talk(ScriptedEngine.fixed("ok")).ask("/etc/hosts is what?")).source is Source.MODEL


async def test_reset_begins_anew(talk: Talk) -> None:
    """After /reset the prompt holds no earlier exchange."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    await chat.ask("remember the canary")
    await chat.ask("/reset")
    await chat.ask("what now then please")
    assert "canary" not in str(engine.prompts[-1])


async def test_retry_answers_the_last_question_otherwise(talk: Talk, store: Store) -> None:
    """/retry calls the model again, at a higher temperature and without its last answer, and keeps only the new one."""
    engine = ScriptedEngine.replying(lambda prompt: f"answer to {prompt[-1].content}")
    chat = talk(engine)
    await chat.ask("what are you doing here")
    reply = await chat.ask("/retry")
    assert (reply.text, reply.source) == ("answer to what are you doing here", Source.MODEL)
    assert engine.temperatures[0] is None
    assert engine.temperatures[1] is not None
    assert engine.prompts[0] == engine.prompts[1]
    message = chat.write("")
    kept = await store.run(history.load, message.conversation, message.sender)
    assert [exchange.question for exchange in kept] == ["what are you doing here"]


async def test_a_question_asked_again_sees_what_was_before_it(talk: Talk) -> None:
    """The question of an older answer gets the prompt that it had, and leaves the cache alone."""
    engine = ScriptedEngine.replying(lambda prompt: f"answer to {prompt[-1].content}")
    chat = talk(engine)
    for question in ("my boat is blue", "what colour is it", "and tomorrow"):
        await chat.ask(question)
    reply = await chat.say(replace(chat.write("what colour is it"), again=2))
    assert reply.source is Source.MODEL
    assert engine.prompts[3] == engine.prompts[1]
    assert engine.temperatures[3] is not None
    await chat.ask("/retry")
    assert engine.prompts[4] == engine.prompts[1]


def earlier(text: str) -> Quote:
    return Quote(relation=Relation.EARLIER, text=text)


def reply_to_bot(text: str) -> Quote:
    return Quote(relation=Relation.REPLIED, author=Author.BOT, text=text)


async def test_quote_is_marked_in_the_prompt(talk: Talk) -> None:
    """Each line of a quote is marked, so that none is taken for the person's words."""
    engine = ScriptedEngine.fixed("ok")
    await talk(engine).ask("and now?", earlier("we saw a whale\nbye\u2028\n\nIgnore"), earlier("it all"))
    assert engine.prompts[0][-1].content == (
        "(Quoted from earlier in this chat:)\n> we saw a whale\n> bye\n> Ignore\n> it all\n\nand now?"
    )


async def test_quote_affects_neither_mood_nor_history(talk: Talk) -> None:
    """The mood uses the message without its quote; the history has a mark in place of it."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    await chat.ask("and what now then", earlier("a canary"))
    await chat.ask("something else")
    assert engine.first_token_prompts
    assert "canary" not in str(engine.first_token_prompts)
    assert engine.prompts[1][1].content == "(Quoted from earlier in this chat:)\n> […]\n\nand what now then"


async def test_history_with_a_quote_begins_the_same_in_every_prompt(talk: Talk) -> None:
    """What precedes a message does not depend on its language, so that the prefix cache finds it."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    await chat.ask("", reply_to_bot("take the train"))
    await chat.ask("/lang zh")
    await chat.ask("/lang auto")
    await chat.ask("and which one is it")
    await chat.ask("那是哪一个呢")
    first, second = engine.prompts[1], engine.prompts[2]
    assert first[1].content == "(I reply to your message:)\n> […]\n\nPlease reply to this."
    assert first[1:-1] == second[1 : len(first) - 1]


async def test_tokens_of_a_quote_count_for_one_turn(talk: Talk) -> None:
    """The size of an exchange in the history is that of its mark, not of what was quoted."""
    chat = talk(ScriptedEngine.fixed("ok"))
    sizes = [(await chat.ask("and now?", earlier("word " * number))).tokens for number in (1, 8)]
    assert sizes[0] == sizes[1] > (await chat.ask("and now?")).tokens


async def test_question_with_a_quote_is_never_shared(talk: Talk, answers: AnswerCache) -> None:
    """A question with a quote or a picture is neither answered from the cache nor cached."""
    engine = ScriptedEngine.replying(lambda prompt: f"answer to {prompt[-1].content}")
    chat = talk(engine)
    await chat.ask("when do you open today", earlier("a canary"), who="ann")
    await chat.say(replace(chat.write("when do you open today", who="dan"), media=(Media.PICTURE,)))
    assert (await chat.ask("when do you open today", who="bob")).text == "answer to when do you open today"
    assert "a finch" in (await chat.ask("when do you open today", earlier("a finch"), who="cid")).text
    assert (answers.hits, answers.misses) == (0, 1)


async def test_forwarded_words_have_no_mood_and_are_no_command(talk: Talk) -> None:
    """A message that only forwards is answered; its words are no command, and no mood is read from them."""
    engine = ScriptedEngine.fixed("ok", mood=lambda _: Label.NEGATIVE)
    reply = await talk(engine, "always").ask("", Quote(relation=Relation.FORWARDED, text="/forget I hate it"))
    assert (reply.source, reply.mood, reply.show_mood) == (Source.MODEL, None, False)
    assert "> /forget I hate it" in engine.prompts[0][-1].content
    assert not engine.first_token_prompts


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(
    ("locale", "text"),
    [("en", "I cannot listen to voice messages yet."), ("zh", "我还听不了语音消息。")],
)
async def test_media_without_words_is_answered_without_the_model(
    talk: Talk, store: Store, locale: Locale, text: str, *, quoted: bool
) -> None:
    """A person who sends a voice message alone, or only points at one, is told in their language."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    voice = chat.write("", who=locale)
    await store.run(people.find_or_add, voice.sender)
    await store.run(people.set_locale, voice.sender, locale)
    only = Quote(relation=Relation.FORWARDED, media=(Media.VOICE,))
    reply = await chat.say(replace(voice, quotes=(only,)) if quoted else replace(voice, media=(Media.VOICE,)))
    assert reply.text.startswith(text)
    assert (reply.source, reply.error, engine.prompts) == (Source.REFUSAL, "unreadable", [])


async def test_the_last_answer_is_not_quoted_again(talk: Talk) -> None:
    """A reply to the answer that ends the history does not repeat it; one to any other message of the bot quotes it."""
    engine = ScriptedEngine.fixed("Take the **train**.")
    chat = talk(engine)
    await chat.ask("how do I get there")
    await chat.ask("is that safe?", reply_to_bot("Take the train. 😊"))
    await chat.ask("is that safe?", reply_to_bot("Eat the mushroom."))
    await chat.ask("", reply_to_bot("Take the train."))
    last = [prompt[-1].content for prompt in engine.prompts]
    assert last[1] == "is that safe?"
    assert last[2] == "(I reply to your message:)\n> Eat the mushroom.\n\nis that safe?"
    assert last[3] == "(I reply to your message:)\n> Take the train.\n\nPlease reply to this."


async def test_retry_keeps_the_quote(talk: Talk) -> None:
    """Each /retry asks the question again with its quote and what came with it."""
    engine = ScriptedEngine.fixed("ok")
    chat = talk(engine)
    question = replace(chat.write("what now then"), quotes=(earlier("we saw a whale"),), media=(Media.FILE,))
    await chat.say(question)
    await chat.ask("/retry")
    await chat.ask("/retry")
    assert "a file" in engine.prompts[0][-1].content
    assert engine.prompts[0] == engine.prompts[1] == engine.prompts[2]


async def test_retry_without_a_question(talk: Talk) -> None:
    """/retry without an earlier question gets a notice."""
    assert (await talk(ScriptedEngine.fixed("ok")).ask("/retry")).source is Source.COMMAND


async def test_stopped_reply_keeps_its_text(talk: Talk) -> None:
    """A stopped turn returns the partial reply, stops the model and is not part of the history."""
    engine = ScriptedEngine.hanging(after=2, text="one two three")
    chat = talk(engine)
    stopped = asyncio.Event()

    async def stop_after_two(piece: str) -> None:
        chat.pieces.append(piece)
        if len(chat.pieces) == 2:
            stopped.set()

    turn = Turn(id=1, message=chat.write("hello"), sink=stop_after_two, stopped=stopped)
    reply = await chat.bot(turn)
    assert (reply.text, reply.finish, reply.tokens) == ("one two", Finish.STOPPED, 0)
    assert engine.open_streams == 0


async def test_admins_see_the_totals(
    store: Store, clock: ManualClock, write: Write, persona: Persona, answers: AnswerCache
) -> None:
    """/stats tells admins about everybody, and nobody else whether a question was asked before."""
    options = chat_with(persona=persona, admins=frozenset({"test:boss"}))
    engine = ScriptedEngine.fixed("ok")
    bot = chatbot(store, engine, MoodReader(engine), answers, clock, options)
    chat = Conversation(store, clock, write, bot)
    await chat.ask("hello", who="ann")
    clock.advance(1)
    told = (await chat.ask("/stats", who="boss")).text
    assert "All together: 1 answered" in told
    assert "Last 7 days: 1 cases, 1 of them resolved without a person, 0 handed over" in told
    own = (await chat.ask("/stats", who="ann")).text
    assert "All together" not in own
    assert "emory" not in own
    assert "Last 7 days" not in own


async def test_shared_history_covers_one_conversation(
    store: Store, clock: ManualClock, write: Write, persona: Persona, answers: AnswerCache
) -> None:
    """With shared history a prompt holds the words of all people in its chat and of no other chat, and shares the
    prefix cache with those prompts alone.
    """
    options = chat_with(persona=persona, shared_history=True)
    engine = ScriptedEngine.echo()
    bot = chatbot(store, engine, MoodReader(engine), answers, clock, options)
    chat = Conversation(store, clock, write, bot)
    await chat.ask("the canary sings", who="ann", chat="room")
    assert "canary" in (await chat.ask("and what was that", who="bob", chat="room")).text
    assert "canary" not in (await chat.ask("and what was that", who="bob", chat="other")).text
    first, second, elsewhere = engine.users
    assert first == second != elsewhere


async def test_mood_can_be_hidden_and_still_steers(talk: Talk) -> None:
    """/mood off hides the mood; it is still read and still steers the reply."""
    engine = ScriptedEngine.fixed("ok", mood=lambda text: Label.NEGATIVE if "bad" in text else None)
    chat = talk(engine)
    assert (await chat.ask("a bad day")).show_mood
    await chat.ask("/mood off")
    reply = await chat.ask("a very bad day")
    assert not reply.show_mood
    assert engine.prompts[-1][-1].content.endswith(HINTS["en"][Label.NEGATIVE])


@pytest.mark.parametrize(
    ("show", "shown"),
    [("felt", [True, True, False, False]), ("always", [True, True, True, False]), ("never", [False] * 4)],
)
async def test_replies_show_the_moods_of_the_option(talk: Talk, show: ShowMood, shown: list[bool]) -> None:
    """Positive and negative moods are shown if "felt", neutral ones too if "always", and an unknown mood never."""
    moods = {"good": Label.POSITIVE, "bad": Label.NEGATIVE, "plain": Label.NEUTRAL, "N/A": Label.NEUTRAL}
    chat = talk(ScriptedEngine.fixed("ok", mood=lambda text: next((moods[w] for w in moods if w in text), None)), show)
    replies = [await chat.ask(f"a {day} day") for day in ("good", "bad", "plain", "strange")]
    assert [reply.show_mood for reply in replies] == shown
    assert all(reply.mood for reply in replies)


async def test_commands_and_apologies_show_no_mood(talk: Talk) -> None:
    """Only an answer to a message with a mood shows one."""
    chat = talk(ScriptedEngine.fixed("", mood=lambda _: Label.POSITIVE), "always")
    assert not (await chat.ask("/help")).show_mood
    assert not (await chat.ask("what a day")).show_mood


@pytest.mark.parametrize(
    ("show", "said"), [("felt", "happy or unhappy"), ("always", "show the mood"), ("never", "chosen not to show")]
)
async def test_mood_on_tells_what_will_be_shown(talk: Talk, show: ShowMood, said: str) -> None:
    """/mood on promises no more than the option allows, and /help offers /mood only if it changes something."""
    chat = talk(ScriptedEngine.fixed("ok", mood=lambda _: Label.NEUTRAL), show)
    assert said in (await chat.ask("/mood on")).text
    assert ("/mood" in (await chat.ask("/help")).text) == (show != "never")
    await chat.ask("/mood off")
    assert not (await chat.ask("a plain day")).show_mood


async def test_stats_count_only_ones_own(talk: Talk) -> None:
    """/stats counts only the asker's messages."""
    chat = talk(ScriptedEngine.fixed("ok"))
    await chat.ask("hello", who="ann")
    await chat.ask("hello again dear bot", who="ann")
    assert "Messages: 2 answered" in (await chat.ask("/stats", who="ann")).text
    assert "Messages: 0 answered" in (await chat.ask("/stats", who="bob")).text


async def test_export_holds_ones_own_words_only(talk: Talk) -> None:
    """/export returns JSON with the person's messages and replies from all their conversations."""
    chat = talk(ScriptedEngine.fixed("ok"))
    await chat.ask("ann says this", who="ann", chat="one")
    await chat.ask("ann says that", who="ann", chat="two")
    await chat.ask("bob says this", who="bob")
    rows = json.loads((await chat.ask("/export", who="ann")).text)
    assert [row["text"] for row in rows] == ["ann says this", "ann says that"]
    assert {row["reply"] for row in rows} == {"ok"}


async def test_forget_leaves_nothing(talk: Talk, store: Store, answers: AnswerCache) -> None:
    """/forget deletes the person's words from every row and from the cache, and nothing of others."""
    chat = talk(ScriptedEngine.replying(lambda prompt: f"you wrote {prompt[-1].content}"))
    await chat.ask("the canary sings", who="ann")
    await chat.ask("bob was here", who="bob")
    await chat.ask("/forget yes", who="ann")
    rows = await store.run(lambda c: c.execute(sa.text("SELECT text, reply FROM turns")).all())
    assert "canary" not in str(rows)
    assert "bob was here" in str(rows)
    assert "keep nothing" in (await chat.ask("/export", who="ann")).text
    hits = answers.hits
    await chat.ask("the canary sings", who="cid")
    assert answers.hits == hits


@pytest.mark.parametrize("typed", ["/forget", "/forget no", "/forget me"])
async def test_forget_asks_first(talk: Talk, typed: str) -> None:
    """Without a yes /forget deletes nothing."""
    chat = talk(ScriptedEngine.fixed("ok"))
    await chat.ask("the canary sings", who="ann")
    await chat.ask(typed, who="ann")
    assert "canary" in (await chat.ask("/export", who="ann")).text


async def test_forget_names_what_to_type(talk: Talk) -> None:
    """The question says what to type if there are no buttons, and no answers that all is kept."""
    chat = talk(ScriptedEngine.fixed("ok"))
    assert "/forget yes" in (await chat.ask("/forget")).text
    assert "keep everything" in (await chat.ask("/FORGET No")).text


async def test_a_terminal_is_told_of_no_buttons(talk: Talk, write: Write) -> None:
    """Where answers have no buttons, the question about deletion says only what to type."""
    chat, message = talk(ScriptedEngine.fixed("ok")), write("/forget")
    there = replace(message, conversation=replace(message.conversation, platform="console"))
    asked = await chat.bot(Turn(id=1, message=there, sink=chat.sink))
    assert asked.text.endswith("To confirm, send /forget yes")
    assert "press a button" in (await chat.ask("/forget")).text


async def test_forget_deletes_quotes_by_others(talk: Talk, store: Store) -> None:
    """/forget also deletes quotes in other people's turns, because they may hold the person's words."""
    chat = talk(ScriptedEngine.fixed("ok"))
    await chat.ask("and what do you say", earlier("the canary sings"), who="bob")
    await chat.ask("/forget yes", who="ann")
    rows = await store.run(lambda c: c.execute(sa.text("SELECT * FROM turns")).all())
    assert "canary" not in str(rows)
    assert "and what do you say" in str(rows)


async def test_silent_model_is_given_up(talk: Talk, clock: ManualClock) -> None:
    """A model that is silent for the idle deadline is stopped, and the turn gets an apology."""
    engine = ScriptedEngine.hanging()
    reply = await out_of_time(clock, asyncio.create_task(talk(engine).ask("hello")))
    assert (reply.error, reply.finish) == ("engine_stalled", Finish.TIMEOUT)
    assert clock.monotonic() == 30
    assert engine.open_streams == 0


async def test_reply_cut_off_is_kept_and_says_so(talk: Talk, clock: ManualClock) -> None:
    """After the idle deadline the partial reply is returned with a note."""
    engine = ScriptedEngine.hanging(after=3, text="one two three four")
    reply = await out_of_time(clock, asyncio.create_task(talk(engine).ask("hello")))
    assert reply.text.startswith("one two three\n")
    assert reply.finish is Finish.TIMEOUT
    assert reply.tokens == 0


async def test_endless_reply_meets_the_total_deadline(talk: Talk, clock: ManualClock) -> None:
    """A reply that never ends is stopped at the total deadline."""
    engine = ScriptedEngine.slow("word " * 49, 20, clock)
    reply = await out_of_time(clock, asyncio.create_task(talk(engine).ask("hello")))
    assert reply.finish is Finish.TIMEOUT
    assert clock.monotonic() == 120
    assert engine.open_streams == 0


async def test_reply_survives_one_crash_of_the_model(talk: Talk, clock: ManualClock) -> None:
    """A reply lost in the middle is retried, and the preview repeats no piece."""
    chat = talk(ScriptedEngine.dying(after=2, text="one two three"))
    reply = await out_of_time(clock, asyncio.create_task(chat.ask("hello")))
    assert reply.text == "one two three"
    assert "".join(chat.pieces) == "one two"
    assert clock.monotonic() == PAUSE


async def test_message_that_kills_the_model_twice_gets_an_apology(talk: Talk, clock: ManualClock) -> None:
    """A turn whose model crashed twice gets an apology and no third attempt."""
    engine = ScriptedEngine.dying(times=99)
    reply = await out_of_time(clock, asyncio.create_task(talk(engine).ask("poison")))
    assert reply.error == "engine_lost"
    assert len(engine.prompts) == 2


async def test_a_reply_that_repeats_itself_ends(talk: Talk) -> None:
    """A sentence is written twice at most; the model is stopped, and the exchange is remembered with its tokens."""
    engine = ScriptedEngine.fixed("I am here to help you. " * 12)
    chat = talk(engine)
    reply = await chat.ask("hello there")
    assert reply.text == "I am here to help you. I am here to help you."
    assert (reply.finish, engine.finished, engine.open_streams) == (Finish.STOP, 0, 0)
    assert reply.tokens > 12
    await chat.ask("and now?")
    assert any(message.content == reply.text for message in engine.prompts[-1])


async def test_empty_reply_becomes_an_apology(talk: Talk) -> None:
    """An empty reply becomes an apology."""
    reply = await talk(ScriptedEngine.fixed("")).ask("hello")
    assert reply.error == "empty_reply"
    assert reply.text


async def test_model_cannot_control_a_terminal(talk: Talk) -> None:
    """Escape sequences from the model reach neither the preview nor the reply."""
    chat = talk(ScriptedEngine.fixed("safe \x1b[2Jand \x07sound"))
    reply = await chat.ask("hello")
    assert reply.text == "".join(chat.pieces) == "safe [2Jand sound"


async def test_server_without_logprobs_makes_every_mood_neutral(talk: Talk) -> None:
    """Without logprobs every mood is neutral."""
    reply = await talk(ScriptedEngine.fixed("ok", mood=lambda _: None)).ask("I am so happy")
    assert reply.mood is not None
    assert (reply.mood.label, reply.mood.confidence) == (Label.NEUTRAL, 0.0)


async def test_unexpected_error_becomes_an_apology(talk: Talk) -> None:
    """An unexpected error becomes an apology; the log names its kind and place without its message."""

    def broken(_prompt: object) -> str:
        raise ZeroDivisionError("a person's words")

    with capture_logs() as logs:
        reply = await talk(ScriptedEngine.replying(broken)).ask("hello")
    assert reply.error == "unexpected"
    (told,) = (entry for entry in logs if entry["event"] == "turn failed unexpectedly")
    assert told["fault"].startswith("ZeroDivisionError at test_chat.py")
    assert "person" not in str(told)


async def test_forget_says_what_is_left_for_later(
    tmp_path: Path, clock: ManualClock, write: Write, persona: Persona, answers: AnswerCache
) -> None:
    """If another program reads the database, the answer to /forget says that the last traces go when it has ended."""
    engine = ScriptedEngine.fixed("hi")
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        bot = chatbot(store, engine, MoodReader(engine), answers, clock, chat_with(persona=persona))
        chat = Conversation(store, clock, write, bot)
        await chat.ask("hello")
        with closing(sqlite3.connect(tmp_path / "parley.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM turns").fetchone()
            assert "as soon as it has ended" in (await chat.ask("/forget yes")).text
        assert (await chat.ask("/forget yes")).text == "Done. I have deleted everything I kept about you."


async def test_forget_says_what_the_model_server_keeps(talk: Talk) -> None:
    """If the model server cannot forget, now or ever, the answer to /forget says so; it tells it what to forget."""
    engine = ScriptedEngine.fixed("hi")
    chat = talk(engine)
    await chat.ask("hello", who="ann")
    assert (await chat.ask("/forget yes", who="ann")).text == "Done. I have deleted everything I kept about you."
    assert engine.users[0] in engine.forgotten
    engine.can_forget = False
    await chat.ask("hello", who="bob")
    assert "beyond my reach" in (await chat.ask("/forget yes", who="bob")).text
    await chat.ask("hello", who="eve")
    engine.available = False
    assert "does not answer just now" in (await chat.ask("/forget yes", who="eve")).text


async def test_people_have_scopes_of_their_own(talk: Talk) -> None:
    """Without a shared history two people of a conversation, and two conversations of a person, have two scopes."""
    engine = ScriptedEngine.fixed("hi")
    chat = talk(engine)
    await chat.ask("one", who="ann", chat="group")
    await chat.ask("two", who="bob", chat="group")
    await chat.ask("three", who="ann", chat="other")
    assert len(set(engine.users)) == 3
