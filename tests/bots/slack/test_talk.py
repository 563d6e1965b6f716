"""Conversations on Slack from end to end, by both transports over real sockets."""

import re
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from core.commands import COMMANDS
from core.engine.scripted import ScriptedEngine
from core.errors import EngineRefused
from core.messages import Label
from core.store.schema import turns, votes
from tests.bots.slack.conftest import LIMITS, Gateway, Open
from tests.bots.slack.test_asides import answered
from tests.fakes.slack.client import FakeSlack, State

HEARD = "I heard: hello 😐"


async def number_of_turns(gateway: Gateway) -> int:
    return await gateway.store.run(lambda c: c.execute(sa.select(sa.func.count()).select_from(turns)).scalar_one())


@pytest.mark.parametrize("http", [False, True])
async def test_direct_message_is_answered_in_its_thread(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """The answer replaces the placeholder in the thread of the message, and every event is acknowledged."""
    async with open_gateway(http=http) as gateway:
        ts = await slack.say("hello there")
        state = await slack.until_shown("I heard: hello there 😐")
        assert [bubble["thread_ts"] for bubble in state.bubbles()] == [ts]
        assert state.entries("posted")[0]["text"] == "Thinking …"
        assert gateway.front.health().connected
        await slack.until(lambda state: not state.unacknowledged())


async def test_chinese_is_met_in_chinese(open_gateway: Open, slack: FakeSlack) -> None:
    """The placeholder is in the language of the message, and the answer shows the mood."""
    engine = ScriptedEngine.fixed("很高兴认识你", mood=lambda text: Label.POSITIVE if "开心" in text else Label.NEUTRAL)
    async with open_gateway(engine):
        await slack.say("你好，今天真开心")
        state = await slack.until_shown("很高兴认识你 😊")
        assert state.entries("posted")[0]["text"] == "正在想……"


async def test_an_emoji_is_read_as_it_is_seen(open_gateway: Open, slack: FakeSlack) -> None:
    """The mood and the reply are asked for with the emoji itself, which Slack sends by name."""
    engine = ScriptedEngine.fixed("What is wrong?", mood=lambda text: Label.NEGATIVE if "😠" in text else Label.NEUTRAL)
    async with open_gateway(engine):
        await slack.say(":angry:")
        await slack.until_shown("What is wrong? 😟")
        assert "😠" in engine.prompts[-1][-1].content


@pytest.mark.parametrize("http", [False, True])
async def test_mention_comes_twice_and_is_answered_once(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """The two events of a mention are one turn, and both are acknowledged."""
    async with open_gateway(http=http) as gateway:
        ts = await slack.mention("hello")
        state = await slack.until(lambda state: len(state.bubbles()) > 0 and not state.unacknowledged())
        state = await slack.until_shown("I heard: hello 😐")
        assert state.bubbles()[0]["thread_ts"] == ts
        assert await number_of_turns(gateway) == 1


async def test_thread_of_the_bot_goes_on_without_mention(open_gateway: Open, slack: FakeSlack) -> None:
    """The bot answers in its threads without a mention, also after a restart, and stays out of other conversations."""
    async with open_gateway():
        thread = await slack.mention("hello")
        await slack.until_shown("I heard: hello 😐")
        foreign = await slack.say("just us", channel="C1")
        await slack.say("nothing for you", channel="C1", thread_ts=foreign)
    async with open_gateway() as gateway:
        await slack.say("<@U2> and you?", channel="C1", user="U3", thread_ts=thread)
        await slack.say("and more", channel="C1", user="U3", thread_ts=thread)
        state = await slack.until_shown("I heard: hello 😐", "I heard: and more 😐")
        assert {bubble["thread_ts"] for bubble in state.bubbles()} == {thread}
        await gateway.until(lambda state: not state.unacknowledged())
        assert await number_of_turns(gateway) == 2


async def test_people_who_talk_to_each_other_are_left_alone(open_gateway: Open, slack: FakeSlack) -> None:
    """After a second person speaks in a thread, the bot waits for a mention, and then goes on with one person."""
    async with open_gateway() as gateway:
        thread = await slack.mention("hello", user="U1")
        in_thread = {"channel": "C1", "thread_ts": thread}
        await slack.until_shown("I heard: hello 😐")
        await slack.say("is that right?", user="U2", **in_thread)
        await slack.until_shown("I heard: hello 😐", "I heard: is that right? 😐")
        await slack.say("I think so", user="U1", **in_thread)
        await slack.say("good", user="U2", **in_thread)
        await slack.until(lambda state: not state.unacknowledged())
        await slack.say("<@UBOT> sum it up", user="U1", **in_thread)
        await slack.until(lambda state: len(state.bubbles()) == 3)
        await slack.say("and shorter", user="U1", **in_thread)
        state = await slack.until(lambda state: "and shorter" in state.bubbles()[-1]["text"])
        assert len(state.bubbles()) == 4
        assert await number_of_turns(gateway) == 4


@pytest.mark.parametrize("said", ["<!subteam^S01|@oncall> can you look?", "<!here> look", "hey <@U1> what now?"])
async def test_an_answer_to_what_others_were_asked_is_not_for_the_bot(
    open_gateway: Open, slack: FakeSlack, said: str
) -> None:
    """Neither a line to others in a followed thread nor the reply of another person to it is answered."""
    async with open_gateway() as gateway:
        thread = await slack.mention("hello", user="U1")
        await slack.until_shown("I heard: hello 😐")
        for user, text in (("U2", said), ("U1", "I am on it")):
            await slack.say(text, channel="C1", user=user, thread_ts=thread)
            await slack.until(lambda state: not state.unacknowledged())
        assert await number_of_turns(gateway) == 1


async def test_a_mention_that_comes_again_does_not_call_the_bot(open_gateway: Open, slack: FakeSlack) -> None:
    """A mention that Slack delivers once more changes nothing: two people still talk to each other."""
    async with open_gateway() as gateway:
        thread = await slack.mention("hello", user="U1")
        await slack.until_shown("I heard: hello 😐")
        in_thread = {"channel": "C1", "thread_ts": thread}
        for user in ("U2", "U1"):
            await slack.say("<@U3> come here", user=user, **in_thread)
        again = {"type": "app_mention", "channel": "C1", "user": "U1", "text": "<@UBOT> hello", "ts": thread}
        await slack.pull("event", event=again)
        await slack.until(lambda state: not state.unacknowledged())
        await slack.say("there you are", user="U1", **in_thread)
        await slack.until(lambda state: not state.unacknowledged())
        assert await number_of_turns(gateway) == 1


async def test_threads_can_be_left_alone(open_gateway: Open, slack: FakeSlack) -> None:
    """With slack.threads = "mention" a thread of a channel needs mentions, and a direct message does not."""
    async with open_gateway(threads="mention") as gateway:
        thread = await slack.mention("hello")
        private = await slack.say("hello you")
        await slack.until_shown("I heard: hello 😐", "I heard: hello you 😐")
        await slack.say("and more", channel="C1", thread_ts=thread)
        await slack.until(lambda state: not state.unacknowledged())
        await slack.say("more", thread_ts=private)
        await slack.mention("once more", thread_ts=thread)
        await slack.until(lambda state: len(state.bubbles()) == 4)
        assert await number_of_turns(gateway) == 4


async def test_history_is_kept_by_thread(open_gateway: Open, slack: FakeSlack) -> None:
    """In a channel the model sees the history of this thread and nothing of another."""
    async with open_gateway() as gateway:
        thread = await slack.mention("the first canary")
        await slack.until_shown("I heard: the first canary 😐")
        await slack.say("what did I say", channel="C1", thread_ts=thread)
        await slack.until(lambda state: len(state.bubbles()) == 2)
        await slack.mention("and here")
        await slack.until(lambda state: len(state.bubbles()) == 3 and "and here" in state.bubbles()[2]["text"])
        asked = [str(prompt) for prompt in gateway.engine.prompts]
        assert ["canary" in prompt for prompt in asked] == [True, True, False]


@pytest.mark.parametrize(("shared", "seen"), [(False, "> mine\n\nand?"), (True, "> we saw a whale\n> mine\n\nand?")])
async def test_called_into_a_thread_it_reads_what_came_before(
    open_gateway: Open, slack: FakeSlack, *, shared: bool, seen: str
) -> None:
    """The bot quotes the sender's earlier messages of a thread, and everybody's only if people share a history."""
    async with open_gateway(shared=shared) as gateway:
        thread = await slack.say("we saw a whale", channel="C1", user="U2")
        await slack.say("mine", channel="C1", thread_ts=thread)
        await slack.mention("and?", thread_ts=thread)
        await slack.until(lambda state: len(state.bubbles()) == 1 and "heard" in state.bubbles()[0]["text"])
        assert gateway.engine.prompts[0][-1].content == f"(Quoted from earlier in this chat:)\n{seen}"


async def test_bots_do_not_talk_to_bots(open_gateway: Open, slack: FakeSlack) -> None:
    """Messages of other bots and of the bot itself, new or edited, are acknowledged and not answered."""
    async with open_gateway() as gateway:
        await slack.say("hello", user="U9", bot_id="B9")
        await slack.say("hello", user="UBOT")
        await slack.say("hello")
        await slack.until_shown("I heard: hello 😐")
        await slack.until(lambda state: not state.unacknowledged())
        assert len(gateway.engine.prompts) == 1


async def test_every_event_is_acknowledged(open_gateway: Open, slack: FakeSlack) -> None:
    """Events that the bot does not read are acknowledged at the first attempt."""
    async with open_gateway():
        for kind in ("reaction_added", "member_joined_channel", "tokens_revoked", "message"):
            await slack.pull("event", event={"type": kind, "item": {"channel": "C1"}})
        state = await slack.until(lambda state: len(state.sendings) == 4 and not state.unacknowledged())
        assert {sending["attempts"] for sending in state.sendings.values()} == {1}


@pytest.mark.parametrize(("rejected", "text"), [([], "**Title**\n\n**bold** 😐"), (["markdown"], "Title\n\nbold 😐")])
async def test_slash_answer_is_rendered(open_gateway: Open, slack: FakeSlack, rejected: list[str], text: str) -> None:
    """The model's answer to a slash command is shown as in a thread, or as plain text if Slack rejects that."""
    await slack.pull("rules", rejected_blocks=rejected)
    async with open_gateway(ScriptedEngine.fixed("# Title\n\n**bold**")):
        await slack.pull("command", channel="C1", user="U1", command="/parley", text="how is it written?")
        state = await slack.until(lambda state: bool(state.entries("response")))
        (said,) = state.entries("response")
        assert said["text"] == text


@pytest.mark.parametrize("http", [False, True])
async def test_slash_command_is_answered_privately(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """A slash command is answered at its response URL, visible to one person, and nothing is posted."""
    async with open_gateway(http=http):
        name = await slack.pull("command", channel="C1", user="U1", command="/parley", text="stats")
        state = await slack.until(lambda state: bool(state.entries("response")))
        (said,) = state.entries("response")
        assert said["url"] == name
        assert said["response_type"] == "ephemeral"
        assert "Messages: 0 answered" in said["text"]
        assert not state.bubbles()


async def test_command_in_a_thread(open_gateway: Open, slack: FakeSlack) -> None:
    """In a thread, where Slack has no slash commands, "!help" is a command; its answer has no buttons."""
    async with open_gateway():
        await slack.mention("!help")
        state = await slack.until(lambda state: any("!reset" in bubble["text"] for bubble in state.bubbles()))
        assert not state.bubbles()[0]["buttons"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("!help", [f"!{command.name}" for command in COMMANDS]),
        ("!lang", ["!lang [en|zh|auto]"]),
        ("!mood perhaps", ["!mood on|off"]),
    ],
)
@pytest.mark.parametrize("slash", [False, True])
async def test_commands_are_named_as_slack_takes_them(
    open_gateway: Open, slack: FakeSlack, text: str, named: list[str], *, slash: bool
) -> None:
    """No answer names a bare "/stop", which Slack would refuse: it is "!stop" in threads, else "/parley stop"."""
    async with open_gateway():
        if slash:
            await slack.pull("command", channel="C1", user="U1", command="/parley", text=text)
            state = await slack.until(lambda state: bool(state.entries("response")))
            said = state.entries("response")[0]["text"]
            named = [name.replace("!", "/parley ") for name in named]
        else:
            await slack.mention(text)
            state = await slack.until(lambda state: bool(_said(state)))
            said = _said(state)[0]
    assert all(name in said for name in named)
    assert not re.search(r"(?<!\w)/(?!parley )", said)


def _said(state: State) -> list[str]:
    """What was said in the thread, or to the asker alone."""
    shown = [*state.entries("whispered"), *state.bubbles()]
    return [entry["text"] for entry in shown if "!" in entry["text"]]


@pytest.mark.parametrize(("slash", "reset"), [(False, "!reset"), (True, "/parley reset")])
async def test_an_apology_names_a_command_as_slack_takes_it(
    open_gateway: Open, slack: FakeSlack, reset: str, *, slash: bool
) -> None:
    """If the model refuses a prompt, the apology names the command that may help as it is typed there."""

    def refuse(_prompt: object) -> str:
        raise EngineRefused(status=400, reason="too long")

    async with open_gateway(ScriptedEngine.replying(refuse)):
        if slash:
            await slack.pull("command", channel="C1", user="U1", command="/parley", text="what is it?")
            await slack.until(lambda state: any(reset in entry["text"] for entry in state.entries("response")))
        else:
            await slack.mention("what is it?")
            await slack.until(lambda state: any(reset in bubble["text"] for bubble in state.bubbles()))


@pytest.mark.parametrize("http", [False, True])
async def test_votes_are_kept(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """A press of a feedback button is recorded as a vote."""
    async with open_gateway(http=http) as gateway:
        await slack.say("hello")
        state = await slack.until(lambda state: any(bubble["buttons"] for bubble in state.bubbles()))
        (bubble,) = state.bubbles()
        assert [button["action"] for button in bubble["buttons"]] == ["vote", "vote", "again"]
        for user, button in (("U1", bubble["buttons"][0]), ("U2", bubble["buttons"][1])):
            press = {"user": user, "action": button["action"], "value": button["value"]}
            await slack.pull("click", channel="D1", ts=bubble["ts"], **press)
        await slack.until(lambda state: not state.unacknowledged())
        assert (await slack.state()).entries("whispered") == []  # Slack marks the button
        cast = await gateway.store.run(lambda c: c.scalars(sa.select(votes.c.vote).order_by(votes.c.vote)).all())
        assert cast == [-1, 1]


async def test_a_vote_by_an_ordinary_button_is_named(open_gateway: Open, slack: FakeSlack) -> None:
    """If Slack has no feedback buttons here, the voter alone is told their vote, once for each change."""
    await slack.pull("rules", rejected_blocks=["context_actions"])
    async with open_gateway():
        thread = await slack.say("hello")
        (bubble,) = (await slack.until_shown(HEARD)).bubbles()
        up, down = bubble["buttons"][:2]
        for button in (up, up, down):
            await slack.pull("click", channel="D1", ts=bubble["ts"], user="U1", **button)
            state = await slack.until(lambda state: not state.unacknowledged())
    told = state.entries("whispered")
    assert [entry["text"] for entry in told] == ["👍 Thank you!", "👎 Thank you!"]
    assert {(entry["user"], entry["thread_ts"]) for entry in told} == {("U1", thread)}


async def press_again(slack: FakeSlack, bubble: dict[str, Any], user: str = "U1") -> None:
    """Press the "Again" button of an answer."""
    (button,) = [button for button in bubble["buttons"] if button["action"] == "again"]
    await slack.pull("click", channel=bubble["channel"], ts=bubble["ts"], user=user, **button)


async def test_again_answers_the_question_above_it(open_gateway: Open, slack: FakeSlack) -> None:
    """Under the older of two answers the "Again" button has the older question answered, in the same thread."""
    one, two = "I heard: tell me about whales 😐", "I heard: tell me about boats 😐"
    async with open_gateway() as gateway:
        thread = await slack.say("tell me about whales")
        state = await slack.until_shown(one)
        await slack.say("tell me about boats", thread_ts=thread)
        await slack.until_shown(one, two)
        await press_again(slack, state.bubbles()[0])
        state = await slack.until_shown(one, two, one)
        assert {bubble["thread_ts"] for bubble in state.bubbles()} == {thread}
        assert gateway.engine.prompts[0] == gateway.engine.prompts[2]
        assert state.entries("whispered") == []


async def test_only_the_asker_has_it_answered_again(open_gateway: Open, slack: FakeSlack) -> None:
    """Another person in the channel is told so alone, in the thread, and nothing is asked."""
    async with open_gateway() as gateway:
        thread = await slack.mention("hello")
        state = await slack.until_shown(HEARD)
        await press_again(slack, state.bubbles()[0], user="U2")
        state = await slack.until(lambda state: bool(state.entries("whispered")))
        (told,) = state.entries("whispered")
        assert (told["user"], told["thread_ts"]) == ("U2", thread)
        assert "person who asked" in told["text"]
        assert await number_of_turns(gateway) == 1


async def test_a_press_is_acknowledged_though_its_notice_fails(open_gateway: Open, slack: FakeSlack) -> None:
    """A notice that Slack does not take is left out."""
    await slack.pull("fault", method="chat.postEphemeral", kind="error", error="user_not_in_channel")
    async with open_gateway():
        await slack.mention("hello")
        state = await slack.until_shown(HEARD)
        await press_again(slack, state.bubbles()[0], user="U2")
        await slack.until(lambda state: "chat.postEphemeral" in state.calls and not state.unacknowledged())


async def test_strangers_are_answered_only_if_they_address_the_bot(open_gateway: Open, slack: FakeSlack) -> None:
    """People who are not allowed are told so if they address the bot, not if they write to others in its thread.

    They cannot vote, and no thread is read for them.
    """
    async with open_gateway(limits=replace(LIMITS, allow=frozenset({"slack:U1"}))) as gateway:
        thread = await slack.mention("hello")
        state = await slack.until(lambda state: any(bubble["buttons"] for bubble in state.bubbles()))
        (answer,) = state.bubbles()
        await slack.say("you two go on", channel="C1", user="U2", thread_ts=thread)
        await slack.pull("click", channel="C1", ts=answer["ts"], user="U2", action="vote:1", value="1:1")
        other = await slack.say("just us", channel="C1", user="U2")
        await slack.mention("and me?", user="U2", thread_ts=other)
        state = await answered(gateway)
        assert [bubble["thread_ts"] for bubble in state.bubbles()] == [thread]
        (refusal,) = [told for told in state.entries("whispered") if told["thread_ts"] == other]
        assert "U2" in refusal["text"]
        assert await number_of_turns(gateway) == 2
        assert await gateway.store.run(lambda c: c.scalars(sa.select(votes.c.vote)).all()) == []


async def test_a_wildcard_does_not_admit_outsiders(open_gateway: Open, slack: FakeSlack) -> None:
    """Somebody of another company is refused once, unless their own id is allowed; their votes do not count either."""
    outside = {"user_team": "T9", "source_team": "T9", "team": "T9"}
    limits = replace(LIMITS, allow=frozenset({"slack:*", "slack:U9"}))
    async with open_gateway(limits=limits) as gateway:
        thread = await slack.mention("hello", user="U9", **outside)
        state = await slack.until_shown("I heard: hello 😐")
        (answer,) = state.bubbles()
        await slack.mention("me too", user="U8", thread_ts=thread, **outside)
        await slack.mention("and now?", user="U8", thread_ts=thread, **outside)
        who = {"user": {"id": "U8", "team_id": "T9"}, "channel": {"id": "C1"}, "message": {"ts": answer["ts"]}}
        what = {"actions": [{"action_id": "vote:1", "value": "1:1", "action_ts": "9.1"}]}
        await slack.pull("payload", kind="interactive", body={"type": "block_actions", **who, **what})
        state = await answered(gateway)
        assert len(state.bubbles()) == 1
        assert ["U8" in told["text"] for told in state.entries("whispered")] == [True]
        assert await number_of_turns(gateway) == 2
        assert await gateway.store.run(lambda c: c.scalars(sa.select(votes.c.vote)).all()) == []


async def test_slackbot_and_other_workspaces_get_silence(open_gateway: Open, slack: FakeSlack) -> None:
    """A reminder of Slackbot and an event of another workspace are acknowledged and not answered."""
    async with open_gateway() as gateway:
        await slack.say("Reminder: drink water.", user="USLACKBOT")
        said = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "hi", "ts": "3.000001"}
        body = {"type": "event_callback", "team_id": "T9", "event_id": "Ev9", "event": said}
        await slack.pull("payload", kind="events_api", body=body)
        await slack.say("hello")
        await slack.until_shown("I heard: hello 😐")
        await slack.until(lambda state: not state.unacknowledged())
        assert await number_of_turns(gateway) == 1
