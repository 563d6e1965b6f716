"""Slack's payloads become messages, votes, or nothing that concerns us. Pure: the same payload, the same gesture."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import ValidationError

from bots.slack.payloads import Home, Press, Pressed, Slash, Written
from bots.slack.places import PLATFORM, Bot
from bots.slack.text import plain
from core import commands
from core.messages import ConversationKey, Kind, Message, Person

SPOKEN = {"", "file_share", "thread_broadcast"}
"""Subtypes of messages in which a person says something new."""
TO_SOMEBODY = re.compile(r"\s*<@(\w+)")
VOTE, AGAIN = "vote", "again"
"""The action ids of our buttons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Somebody wrote. Unless it is `addressed` to the bot, it is for it only where it takes part already.

    `follows` a thread that was there before.
    """

    message: Message
    addressed: bool
    follows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """Somebody found an answer good, 1, or not, -1."""

    turn_id: int
    person: Person
    vote: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Somebody looks at their chat with the bot."""

    channel: str


Gesture: TypeAlias = Heard | Vote | Opened


def read(body: Mapping[str, object], bot: Bot, now: float) -> Gesture | None:
    """What a payload that came `now` asks of the bot, if anything."""
    try:
        match body:
            case {"type": "event_callback", "event_id": str(event_id), "event": {"type": str(kind)}}:
                return _event(kind, body["event"], event_id, bot)
            case {"type": "block_actions"}:
                return _press(Press.model_validate(body), bot)
            case {"command": str()}:
                return _slash(Slash.model_validate(body), bot, now)
    except ValidationError:  # a payload of another shape is not one that we know how to answer
        return None
    return None


def _event(kind: str, event: object, event_id: str, bot: Bot) -> Gesture | None:
    match kind:
        case "message" | "app_mention":
            return _written(Written.model_validate(event), event_id, bot)
        case "app_home_opened":
            home = Home.model_validate(event)
            return Opened(channel=home.channel) if home.tab == "messages" else None
    return None


def _written(event: Written, event_id: str, bot: Bot) -> Heard | None:
    if event.bot_id or event.hidden or event.subtype not in SPOKEN or event.user in {"", bot.user}:
        return None
    private = event.channel_type == "im"
    addressed = private or event.type == "app_mention" or f"<@{bot.user}" in event.text
    follows = event.thread_ts not in {"", event.ts}
    if not addressed and (not follows or not event.text or TO_SOMEBODY.match(event.text)):
        return None
    message = Message(
        event_keys=_keys(event, event_id, bot),
        conversation=_conversation(bot, event.channel, event.thread_ts or event.ts),
        sender=_person(bot, event.user),
        text=_with_command(plain(event.text, bot.user)),
        sent_at=float(event.ts),
        kind=Kind.PRIVATE if private else Kind.GROUP,
        reference=event.ts,
    )
    return Heard(message=message, addressed=addressed, follows=follows)


def _with_command(text: str) -> str:
    """The text with "!help" as "/help". Slack keeps the slash for itself and offers no slash commands in threads."""
    call = commands.parse(text, prefix="!")
    return str(call) if call and call.command else text


def _keys(event: Written, event_id: str, bot: Bot) -> tuple[str, ...]:
    """A mention comes as two events with one ts; a message sent again by the client has one client_msg_id."""
    keys = [f"event:{event_id}", f"message:{event.channel}:{event.ts}"]
    if event.client_msg_id:
        keys.append(f"client:{event.client_msg_id}")
    return tuple(f"{PLATFORM}:{bot.team}:{key}" for key in keys)


def _press(press: Press, bot: Bot) -> Gesture | None:
    action = press.actions[0]
    person = _person(bot, press.user.id)
    match action.action_id.partition(":")[0], action.value.split(":"):
        case (name, [vote, turn]) if name == VOTE and vote in {"1", "-1"} and turn.isdecimal():
            return Vote(turn_id=int(turn), person=person, vote=int(vote))
        case (name, _) if name == AGAIN:
            return Heard(message=_again(press, action, person, bot), addressed=True, follows=False)
    return None


def _again(press: Press, action: Pressed, person: Person, bot: Bot) -> Message:
    gesture = f"{PLATFORM}:{bot.team}:press:{press.channel.id}:{press.message.ts}:{press.user.id}:{action.action_ts}"
    return Message(
        event_keys=(gesture,),
        conversation=_conversation(bot, press.channel.id, press.message.thread_ts or press.message.ts),
        sender=person,
        text=str(commands.RETRY),
        sent_at=float(action.action_ts),
        kind=Kind.PRIVATE if press.channel.id.startswith("D") else Kind.GROUP,
        reference=action.action_ts,
    )


def _slash_text(text: str) -> str:
    """`/parley reset` is "/reset"; other words are a question, even if they begin like "stop the noise, how?"."""
    if not text:
        return str(commands.HELP)
    call = commands.parse(text, prefix="")
    return str(call) if call and call.command and call.command.fits(call.argument) else text


def _slash(slash: Slash, bot: Bot, now: float) -> Heard:
    """`/parley help` is "/help". It is asked and answered between the person and the bot, wherever they are."""
    message = Message(
        event_keys=(f"{PLATFORM}:{bot.team}:slash:{slash.trigger_id}",),
        conversation=_conversation(bot, slash.channel_id, ""),
        sender=_person(bot, slash.user_id),
        text=_slash_text(slash.text.strip().lstrip("/!")),
        sent_at=now,
        reference=slash.response_url,
    )
    return Heard(message=message, addressed=True, follows=False)


def _conversation(bot: Bot, channel: str, thread: str) -> ConversationKey:
    return ConversationKey(platform=PLATFORM, workspace=bot.team, chat=channel, thread=thread)


def _person(bot: Bot, user: str) -> Person:
    return Person(platform=PLATFORM, workspace=bot.team, id=user)
