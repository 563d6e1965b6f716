from typing import Any

import pytest

from bots.slack.buttons import AGAIN, BAD, GOOD
from bots.slack.identity import Identity
from bots.slack.payloads import parse
from bots.slack.translate import (
    ButtonPressed,
    ChatOpened,
    DirectMessages,
    Gesture,
    Heard,
    Overheard,
    StopPressed,
    translate,
)
from core.messages import ConversationKey, Kind, Message, Person

IDENTITY = Identity(team="T1", user="UBOT")
NOW = 1_750_000_000.0


def rich(*elements: dict[str, Any]) -> dict[str, Any]:
    """A block with a line of rich text."""
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def event(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    plain = {
        "type": "message",
        "channel": "C1",
        "user": "U1",
        "text": "hello",
        "ts": "5.000001",
        "channel_type": "channel",
    }
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": plain | fields}


def read(body: dict[str, Any], directs: DirectMessages = "one") -> Gesture | None:
    payload = parse(body)
    return translate(payload, IDENTITY, NOW, directs=directs) if payload else None


def heard(body: dict[str, Any]) -> Heard | None:
    gesture = read(body)
    assert gesture is None or isinstance(gesture, Heard)
    return gesture


def message(body: dict[str, Any]) -> Message:
    found = heard(body)
    assert found is not None
    return found.message


def test_direct_message() -> None:
    """A direct message belongs to the one conversation there, and its event keys hold all its identities."""
    got = message(event(channel="D1", channel_type="im", client_msg_id="m1"))
    assert got.conversation == ConversationKey(platform="slack", workspace="T1", chat="D1")
    assert got.event_keys == ("slack:T1:event:Ev1", "slack:T1:message:D1:5.000001", "slack:T1:client:m1")
    assert (str(got.sender), got.sent_at, got.kind, got.reference) == (
        "slack/T1/U1",
        5.000001,
        Kind.PRIVATE,
        "5.000001",
    )


def test_mention_and_its_message_are_one_gesture() -> None:
    """The two events of a mention share the key of channel and ts, and translate to the same message."""
    mention = message(event(type="app_mention", text="<@UBOT> hi"))
    plain = message(event(text="<@UBOT> hi") | {"event_id": "Ev2"})
    assert set(mention.event_keys) & set(plain.event_keys)
    assert (mention.text, mention.conversation, mention.kind) == (plain.text, plain.conversation, Kind.GROUP)


@pytest.mark.parametrize(
    ("fields", "addressed", "follows"),
    [
        ({"channel_type": "im"}, True, False),
        ({"channel_type": "im", "thread_ts": "1.000001"}, True, True),
        ({"type": "app_mention"}, True, False),
        ({"type": "app_mention", "thread_ts": "1.000001"}, True, True),
        ({"thread_ts": "1.000001"}, False, True),
        ({"thread_ts": "1.000001", "text": "and <@UBOT> too"}, True, True),
        ({"thread_ts": "1.000001", "subtype": "thread_broadcast"}, False, True),
        ({"channel_type": "im", "subtype": "file_share"}, True, False),
        ({"channel_type": "im", "subtype": "me_message"}, True, False),
        ({"thread_ts": "1.000001", "text": "", "attachments": [{"is_share": True, "text": "look"}]}, False, True),
        ({"channel_type": "mpim", "type": "app_mention"}, True, False),
    ],
)
def test_message_is_for_the_bot(fields: dict[str, Any], addressed: bool, follows: bool) -> None:  # noqa: FBT001
    """Messages that address the bot, and messages that are for it only if it takes part in the thread."""
    found = heard(event(**fields))
    assert found is not None
    assert (found.addressed, found.follows) == (addressed, follows)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"thread_ts": "5.000001"},
        {"channel_type": "im", "bot_id": "B2"},
        {"type": "app_mention", "bot_id": "B2"},
        {"channel_type": "im", "user": "UBOT"},
        {"channel_type": "im", "user": None},
        {"channel_type": "im", "subtype": "message_changed", "hidden": True},
        {"channel_type": "im", "hidden": True},
        {"channel_type": "im", "subtype": "message_deleted"},
        {"channel_type": "im", "subtype": "bot_message"},
        {"channel_type": "im", "subtype": "channel_join"},
        {"type": "reaction_added"},
        {"type": "message", "channel": {"id": "C1"}},
        {"channel_type": "im", "ts": "soon"},
        {"channel_type": "im", "ts": "9" * 400 + ".0"},
        {"type": "app_home_opened", "tab": "home"},
    ],
)
def test_message_is_not_for_the_bot(fields: dict[str, Any]) -> None:
    """Messages of bots, edits, talk outside of threads and malformed events are not for the bot."""
    assert read(event(**fields)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "<@U2> what do you think?"},
        {"text": "hey <@U2|bob>, can you look?"},
        {"text": "first line\n<@W2> second line"},
        {"text": "<!subteam^S01|@oncall> can you look?"},
        {"text": "<!subteam^S01> can you look?"},
        {"text": "<!here> look"},
        {"text": "look, <!channel|@channel>"},
        {"text": "<!everyone> look"},
        {"text": "<@UBOT2> and you?"},
        {"text": "look", "blocks": [rich({"type": "user", "user_id": "U2"}, {"type": "text", "text": " look"})]},
        {"text": "look", "blocks": [rich({"type": "usergroup", "usergroup_id": "S01"})]},
        {"text": "look", "blocks": [rich({"type": "broadcast", "range": "here"})]},
        {"text": "", "subtype": "file_share"},
    ],
)
def test_talk_to_others_is_overheard(fields: dict[str, Any]) -> None:
    """What names people or groups in a thread, and not the bot, is for them. A file alone is not for the bot either."""
    thread = ConversationKey(platform="slack", workspace="T1", chat="C1", thread="1.000001")
    speaker = Person(platform="slack", workspace="T1", id="U1")
    assert read(event(thread_ts="1.000001", **fields)) == Overheard(thread=thread, speaker=speaker)
    assert read(event(**fields)) is None


@pytest.mark.parametrize(
    "text", ["<!date^1750000000^{date}|today> it is", "&lt;@U2&gt; is code", "<#C2|random> is loud"]
)
def test_other_markup_names_no_one(text: str) -> None:
    """Dates, channels and escaped mentions are no talk to others."""
    found = heard(event(thread_ts="1.000001", text=text))
    assert found is not None
    assert not found.addressed


def test_naming_the_bot_among_others_addresses_it() -> None:
    """A line that names the bot is for it, also if it names others."""
    found = heard(event(thread_ts="1.000001", text="<!here> <@U2> ask <@UBOT|parley>"))
    assert found is not None
    assert found.addressed


@pytest.mark.parametrize(
    "body",
    [{}, {"type": "event_callback"}, {"type": "event_callback", "event_id": "E", "event": []}, {"command": "/x"}],
)
def test_misshapen_payload_is_nothing(body: dict[str, Any]) -> None:
    """A malformed payload translates to None."""
    assert read(body) is None


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("<@UBOT> hello", "hello"),
        ("<@UBOT>, hello", "hello"),
        ("<@UBOT|parley>：你好", "你好"),
        ("hello <@UBOT> how are you", "hello how are you"),
        ("ask <@U2|ann> or <@U3> in <#C2|random>", "ask @ann or @U3 in #random"),
        ("see <https://a.example/x|here>", "see here (https://a.example/x)"),
        (
            "read <https://docs.example.com/setup/index.html|setup> now",
            "read setup (https://docs.example.com/setup/index.html) now",
        ),
        ("to <mailto:ann@a.example|ann@a.example>", "to ann@a.example"),
        ("at <https://a.example/|https://a.example>", "at https://a.example"),
        ("see <http://a.example|a.example> and <https://b.example>", "see a.example and https://b.example"),
        ("<!here> and <!subteam^S1|@crew>", "@here and @crew"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&lt;@U2&gt;", "<@U2>"),
        ("&amp;lt;", "&lt;"),
        (":tada: <https://a.example/:tada:> at 10:30:45", "🎉 https://a.example/:tada: at 10:30:45"),
        ("&lt;:wave::skin-tone-3:&gt; `:wave:`", "<👋🏼> `:wave:`"),
        ("<@UBOT> :tada: hi", "🎉 hi"),
        ("<@UBOT>: :+1:", "👍"),
        ("<@UBOT>:partyparrot: hi", ":partyparrot: hi"),
        ("<@UBOT>: 10:30", "10:30"),
        ("!help", "/help"),
        ("!retry", "/retry"),
        ("<@UBOT> !lang zh", "/lang zh"),
        ("!STOP", "/STOP"),
        ("!wow that is nice", "!wow that is nice"),
        ("!help!", "!help!"),
        ("<@UBOT>", ""),
        ("<@UBOT>, <@U2|other> are you both there?", "@you, @other are you both there?"),
        ("<@U2|other> and <@UBOT|parley>: are you there?", "@other and @you: are you there?"),
        ("<@U2|a> <@U3|b> <@UBOT> are you there?", "@a @b @you are you there?"),
        ("<@UBOT>和<@U2|other> 你们在吗？", "@你和@other 你们在吗？"),
        ("<!here> <@UBOT> what is it?", "@here @you what is it?"),
        ("<@UBOT> what does <@U2|other> do?", "what does @other do?"),
        ("<@UBOT> <!date^1|today> is it", "today is it"),
    ],
)
def test_text(written: str, text: str) -> None:
    """The text is without Slack's markup, and "!help" is a command, since Slack reserves the slash.

    The bot's name is left out, unless others are named in a row with it.
    """
    assert message(event(type="app_mention", text=written)).text == text


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("", "/help"),
        ("help", "/help"),
        (" mood off", "/mood off"),
        ("/stats", "/stats"),
        ("!stats", "/stats"),
        ("stop", "/stop"),
        ("retry", "/retry"),
        ("how are you", "how are you"),
        ("stop the noise, how?", "stop the noise, how?"),
        (":tada: for <@U2|bob> &amp; me", "🎉 for @bob & me"),
        (
            "what does a &amp;&amp; b &lt; c mean, <@U0BOB|bob> in <#C012|general>?",
            "what does a && b < c mean, @bob in #general?",
        ),
    ],
)
def test_slash_command(typed: str, text: str) -> None:
    """`/parley help` is the command, other text is a question, and the answer goes to the response URL."""
    body = {"command": "/parley", "text": typed, "user_id": "U1", "channel_id": "C1", "trigger_id": "t"}
    got = message(body | {"response_url": "https://hooks.slack.com/x"})
    assert (got.text, got.conversation.thread, got.sent_at) == (text, "", NOW)
    assert got.reference == "https://hooks.slack.com/x"


def press(action: str, value: str) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U1"},
        "channel": {"id": "C1"},
        "message": {"ts": "6.000001", "thread_ts": "5.000001"},
        "actions": [{"action_id": action, "value": value, "action_ts": "7.000001"}],
    }


@pytest.mark.parametrize(
    ("action", "value", "vote"), [("vote", "1:12", 1), ("vote", "-1:12", -1), ("vote:up", "1:12", 1)]
)
def test_vote(action: str, value: str, vote: int) -> None:
    """Feedback buttons and ordinary buttons give the same vote."""
    gesture = read(press(action, value))
    assert isinstance(gesture, ButtonPressed)
    assert gesture.button is (GOOD if vote == 1 else BAD)
    assert (gesture.press.turn_id, gesture.press.person.id) == (12, "U1")


@pytest.mark.parametrize(
    ("action", "value"),
    [("vote", "2:1"), ("vote", "1:x"), ("vote", ""), ("vote", "12"), ("other", "1:1"), ("again", "1" * 30)],
)
def test_strange_press_is_nothing(action: str, value: str) -> None:
    """A press with unknown data translates to None."""
    assert read(press(action, value)) is None


def test_again_names_its_turn_in_the_thread() -> None:
    """The "Again" button names the turn of its answer, and each press has its own event key."""
    first = press("again", "12")
    later = press("again", "12")
    later["actions"][0]["action_ts"] = "8.000001"
    got, other = read(first), read(later)
    assert isinstance(got, ButtonPressed)
    assert isinstance(other, ButtonPressed)
    assert got.button is AGAIN
    assert (got.press.turn_id, got.press.conversation.thread, got.press.reference) == (
        12,
        "5.000001",
        "7.000001:5.000001",
    )
    assert set(got.press.event_keys).isdisjoint(other.press.event_keys)


def test_the_stop_button_names_the_thread() -> None:
    """Slack's own stop button is a press in the thread, without a turn."""
    got = read(event(type="agent_session_stopped", channel="D1", thread_ts="5.000001", user="U1"))
    assert isinstance(got, StopPressed)
    assert (got.press.conversation.thread, got.press.person.id, got.press.turn_id) == ("5.000001", "U1", 0)


def test_opened_chat() -> None:
    """Opening the Messages tab is a /start of the person, the same each time."""
    got = read(event(type="app_home_opened", channel="D1", tab="messages", user="U1"))
    assert isinstance(got, ChatOpened)
    opening = got.opening
    assert (opening.text, opening.sender.id, opening.conversation.chat) == ("/start", "U1", "D1")
    assert opening.event_keys == ("slack:T1:opened:U1",)
