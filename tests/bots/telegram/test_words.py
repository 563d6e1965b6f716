"""Words that are not the sender's own, and things without words, on Telegram from end to end."""

from functools import partial

import pytest

from core.engine.scripted import ScriptedEngine
from core.messages import Label
from tests.bots.telegram.conftest import answers, done, echo, open_gateway, rows
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import Json

GROUP: Json = {"id": -100, "type": "supergroup", "title": "g"}
HIDDEN: Json = {"type": "hidden_user", "sender_user_name": "Z", "date": 1}


def repeating() -> ScriptedEngine:
    """An engine that answers with the whole message that it reads, and finds every text sad."""
    return ScriptedEngine.replying(lambda prompt: prompt[-1].content, mood=lambda _: Label.NEGATIVE)


def in_reply(account: Account, text: str, *, bot: bool, chat: Json) -> Json:
    """The fields of a reply to a message with this text, of the bot or of somebody else."""
    author = {"id": account.id, "is_bot": True, "first_name": "Parley"} if bot else {"id": 77, "first_name": "Zoe"}
    return {"reply_to_message": {"message_id": 900, "from": author, "chat": chat, "date": 1, "text": text}}


def quotes(answer: Entry) -> list[str]:
    """What an answer shows as quotes."""
    found = [entity for entity in answer["entities"] if entity["type"] == "blockquote"]
    return [answer["text"][entity["offset"] :][: entity["length"]] for entity in found]


def is_shown(count: int, journal: list[Entry]) -> bool:
    return len(shown(journal)) >= count


async def test_a_forwarded_command_is_not_carried_out(account: Account) -> None:
    """Forwarding "/forget" deletes nothing; the model reads it as a quote, and no mood is shown for it."""
    async with open_gateway(account, repeating()) as gateway:
        await account.say("keep this", person=5)
        await account.until(done)
        await account.say("/forget", person=5, extra={"forward_origin": HIDDEN, "date": 2_000_000_000})
        journal = await account.until(lambda journal: done(journal, 2))
        kept = await rows(gateway, "SELECT text, mood_label FROM turns ORDER BY id")
    assert answers(journal)[1]["text"].startswith("(I forward another person's message:)\n")
    assert quotes(answers(journal)[1]) == ["/forget"]
    assert not answers(journal)[1]["text"].endswith("😟")
    assert kept == [("keep this", "negative"), ("", None)]


async def test_replies_to_the_bot_in_the_same_words_are_answered_apart(account: Account) -> None:
    """Two people ask the same of two messages of the bot: each answer knows its own, and none comes from the cache."""
    async with open_gateway(account, repeating()) as gateway:
        for person, chat, text in ((5, -100, "Take the train."), (6, -200, "Eat the mushroom.")):
            room = {**GROUP, "id": chat}
            reply = in_reply(account, text, bot=True, chat=room)
            await account.say("is that really safe?", person=person, chat=room, extra=reply)
        journal = await account.until(lambda journal: done(journal, 2))
        assert await rows(gateway, "SELECT source FROM turns") == [("model",), ("model",)]
    assert all(entry["text"].startswith("(I reply to your message:)\n") for entry in answers(journal))
    seen = {entry["chat"]: quotes(entry) for entry in answers(journal)}
    assert seen == {-100: ["Take the train."], -200: ["Eat the mushroom."]}


async def test_a_reply_to_the_last_answer_does_not_repeat_it(account: Account) -> None:
    """The model reads the answer in the history already, although the platform shows it with an emoji."""
    engine = ScriptedEngine.fixed("Take the **train**.")
    async with open_gateway(account, engine):
        await account.say("how do I get there?", person=5)
        reply = answers(await account.until(done))[0]
        await account.say("is that really safe?", person=5, reply_to=reply["message"])
        await account.until(lambda journal: done(journal, 2))
    assert engine.prompts[1][-1].content.startswith("is that really safe?")


async def test_a_bare_mention_asks_about_the_message_it_answers(account: Account) -> None:
    """The message replied to is the question, in the language of the person who asks."""
    extra = in_reply(account, "Der Zug faellt heute aus.", bot=False, chat=GROUP)
    async with open_gateway(account, repeating()):
        await account.say(f"@{account.username}", chat=GROUP, extra=extra)
        journal = await account.until(done)
    (answer,) = answers(journal)
    assert answer["text"] == (
        "(I reply to another person's message:)\nDer Zug faellt heute aus.\n\nPlease reply to this."
    )
    assert quotes(answer) == ["Der Zug faellt heute aus."]


async def test_the_end_of_a_long_message_is_read(account: Account) -> None:
    """The model reads a message that is replied to whole, also if it is longer than a few lines."""
    text = "The committee met and talked about chairs. " * 12 + "DECISION: we sell the boat."
    async with open_gateway(account, engine := repeating()):
        extra = in_reply(account, text, bot=False, chat=GROUP)
        await account.say(f"@{account.username} what was the decision?", chat=GROUP, extra=extra)
        await account.until(done)
    assert f"> {text}\n" in engine.prompts[0][-1].content


@pytest.mark.parametrize(
    ("code", "text"), [("en", "I cannot listen to voice messages yet."), ("zh-hans", "我还听不了语音消息。")]
)
async def test_a_voice_message_is_answered_without_the_model(account: Account, code: str, text: str) -> None:
    """A voice message alone is answered in the person's language, and the model is not called."""
    engine = repeating()
    async with open_gateway(account, engine):
        await account.say(person={"id": 5, "language_code": code}, extra={"voice": {"file_id": "v", "duration": 1}})
        journal = await account.until(lambda journal: any(entry["do"] == "edit" for entry in shown(journal)))
    assert shown(journal)[-1]["text"].startswith(text)
    assert engine.prompts == []


async def test_the_model_is_told_of_a_picture(account: Account) -> None:
    """A picture with a caption is answered by the model, which is told that there is a picture it cannot see."""
    engine = repeating()
    async with open_gateway(account, engine):
        await account.say(person=5, extra={"photo": [{"file_id": "p"}], "caption": "what is this?"})
        await account.until(done)
    assert engine.prompts[0][-1].content.startswith(
        "(Attached: a picture. You can only read text, not see or hear it.)\n\nwhat is this?"
    )


async def test_the_model_knows_that_it_is_one_of_two_addressed(account: Account) -> None:
    """If a message in a group addresses two bots, the model reads that it is meant beside the other."""
    engine = repeating()
    async with open_gateway(account, engine):
        await account.say(f"@{account.username}, @OtherBot are you both there?", chat=GROUP)
        await account.until(done)
    assert engine.prompts[0][-1].content.startswith("@you, @OtherBot are you both there?")


async def test_the_model_is_told_of_a_poll_that_is_replied_to(account: Account) -> None:
    """The question of a poll and its options are quoted, and it is named as a poll."""
    engine = repeating()
    author = {"id": 77, "first_name": "Zoe"}
    poll = {"id": "1", "question": "Pizza or pasta?", "options": [{"text": "Pizza", "voter_count": 5}]}
    extra = {"reply_to_message": {"message_id": 900, "from": author, "chat": GROUP, "date": 1, "poll": poll}}
    async with open_gateway(account, engine):
        await account.say(f"@{account.username} summarise the poll", chat=GROUP, extra=extra)
        await account.until(done)
    assert engine.prompts[0][-1].content.startswith(
        "(I reply to another person's message:)\n> Pizza or pasta?\n> - Pizza\n"
        "> (Attached: a poll. You can only read text, not see or hear it.)\n\nsummarise the poll"
    )


@pytest.mark.parametrize("first", ["ok", "OK!!", "oh wow", "hi hello", "haha", "👍"])
async def test_a_first_word_of_no_language_decides_nothing(account: Account, first: str) -> None:
    """A person who begins with "ok" and goes on in Chinese is spoken to in Chinese from the first word on."""
    ann = {"id": 5, "is_bot": False, "first_name": "A", "language_code": "zh-hans"}
    async with open_gateway(account, echo()) as gateway:
        for number, text in enumerate((first, "你好，请介绍一下自己", "/help"), start=1):
            await account.say(text, person=ann)
            await account.until(partial(is_shown, 2 * number))
        assert await rows(gateway, "SELECT locale FROM turns") == [("zh",)] * 3
