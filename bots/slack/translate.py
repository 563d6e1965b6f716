"""Translate Slack's payloads into what people ask of the bot. Pure: nothing is fetched, stored or sent."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bots.slack import buttons
from bots.slack.buttons import Button
from bots.slack.identity import PLATFORM, Identity
from bots.slack.parts import media, own_markup, quotes
from bots.slack.payloads import (
    BlockActions,
    EventCallback,
    HomeOpened,
    MessageEvent,
    Payload,
    Revoked,
    SessionStopped,
    SlashCommand,
    Unreadable,
    UrlVerification,
)
from bots.slack.people import SLACKBOT, author, commander, is_for_the_workspace, member, presser
from bots.slack.reference import Reference
from bots.slack.text import plain
from core import commands
from core.buttons import Press
from core.messages import ConversationKey, Deletion, Kind, Message, Person

DirectMessages: TypeAlias = Literal["one", "threads"]
"""Whether the direct messages of a person are one conversation, or each begins one of its own with its thread."""
NEW_MESSAGES = {"", "file_share", "me_message", "thread_broadcast"}
"""Subtypes of messages in which a person says something new."""
TS = re.compile(r"\d{1,12}\.\d{1,9}")
USERS = re.compile(r"<@(\w+)")
GROUPS = re.compile(r"<!(?:subteam\^|here|channel|everyone)\b")
"""Mentions of people, and of many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A person wrote. A message that is not `addressed` to the bot is for it only if it follows the thread.

    `follows` is true if the message is a reply in a thread that exists already. Its conversation is that thread.
    """

    message: Message
    addressed: bool
    follows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A person wrote to others, or nothing to read, in a thread."""

    thread: ConversationKey
    speaker: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPressed:
    """A person pressed one of the bot's buttons. `is_marked` says that Slack shows the press itself."""

    button: Button
    press: Press
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOpened:
    """A person opened their direct messages with the bot. `opening` is a /start of theirs."""

    opening: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPressed:
    """A person pressed Slack's own stop button in a thread."""

    press: Press


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A message was deleted."""

    deletion: Deletion


Gesture: TypeAlias = Heard | Overheard | Deleted | ButtonPressed | StopPressed | ChatOpened


def translate(payload: Payload, identity: Identity, now: float, *, directs: DirectMessages) -> Gesture | None:
    """What a payload, which arrived at `now` in epoch seconds, asks of the bot; None if it is not for the bot."""
    match payload:
        case EventCallback() if is_for_the_workspace(payload, identity):
            return _event(payload, identity, now, directs)
        case BlockActions():
            return _press(payload, identity)
        case SlashCommand():
            return _slash_command(payload, identity, now)
        case EventCallback() | UrlVerification() | Unreadable():
            return None


def _event(callback: EventCallback, identity: Identity, now: float, directs: DirectMessages) -> Gesture | None:
    match callback.event:
        case MessageEvent() as event if ts := _deleted_ts(event):
            return _deleted(event, ts, identity)
        case MessageEvent() as event:
            return _message(event, callback.event_id, identity, directs)
        case HomeOpened() as home:
            return _opened(home, identity, now) if home.tab == "messages" else None
        case SessionStopped() as stopped:
            return StopPressed(press=_stop(stopped, callback.event_id, identity))
        case Revoked():
            return None


def _message(
    event: MessageEvent, event_id: str, identity: Identity, directs: DirectMessages
) -> Heard | Overheard | None:
    is_said = event.subtype in NEW_MESSAGES and not event.hidden
    if not is_said or event.bot_id or event.user in {"", identity.user, SLACKBOT}:
        return None
    private = event.channel_type == "im"
    markup = own_markup(event)
    named = set(USERS.findall(markup))
    addressed = private or event.type == "app_mention" or identity.user in named
    follows = event.thread_ts not in {"", event.ts}
    if not addressed and not follows:
        return None
    begun = "" if private and directs == "one" else event.ts
    sender = author(event, identity)
    thread = _conversation(identity, event.channel, event.thread_ts if follows else begun)
    quoted = tuple(quotes(event, identity))
    has_words = markup or any(quote.text for quote in quoted)
    if not addressed and (named or GROUPS.search(markup) or not has_words):
        return Overheard(thread=thread, speaker=sender)
    message = Message(
        event_keys=_event_keys(event, event_id, identity),
        conversation=thread,
        sender=sender,
        text=_with_command(plain(markup, identity.user)),
        sent_at=float(event.ts),
        kind=Kind.PRIVATE if private else Kind.GROUP,
        reference=event.ts,
        quotes=quoted,
        media=media(event.files),
    )
    return Heard(message=message, addressed=addressed, follows=follows)


def _deleted_ts(event: MessageEvent) -> str:
    """The ts of the message whose deletion the event tells; empty if it tells of none."""
    if event.subtype == "message_changed" and event.message and event.message.subtype == "tombstone":
        return event.message.ts
    return event.deleted_ts if event.subtype == "message_deleted" else ""


def _deleted(event: MessageEvent, ts: str, identity: Identity) -> Deleted | None:
    """The deletion of a person's message: the bot deletes its own."""
    before = event.previous_message
    if TS.fullmatch(ts) is None or (before and before.user == identity.user):
        return None
    thread = (before.thread_ts if before else "") or ts
    deletion = Deletion(
        event_keys=(_message_key(event.channel, ts, identity),),
        conversation=_conversation(identity, event.channel, thread),
        sent_at=float(ts),
        text=plain(own_markup(before), identity.user) if before else "",
    )
    return Deleted(deletion=deletion)


def _message_key(channel: str, ts: str, identity: Identity) -> str:
    return f"{PLATFORM}:{identity.team}:message:{channel}:{ts}"


def _with_command(text: str) -> str:
    """The text with "!help" as "/help". Slack reserves the slash, and has no slash commands in threads."""
    call = commands.parse(text, prefix="!")
    return str(call) if call and call.command else text


def _event_keys(event: MessageEvent, event_id: str, identity: Identity) -> tuple[str, ...]:
    """The identities of a gesture. Both events of a mention share the ts; both sends of a client, the client_msg_id."""
    bot = f"{PLATFORM}:{identity.team}"
    client = (f"{bot}:client:{event.client_msg_id}",) if event.client_msg_id else ()
    return (f"{bot}:event:{event_id}", _message_key(event.channel, event.ts, identity), *client)


def _press(press: BlockActions, identity: Identity) -> ButtonPressed | None:
    action = press.actions[0]
    pressed = buttons.read(action.action_id, action.value)
    if pressed is None:
        return None
    gesture = f"press:{press.channel.id}:{press.message.ts}:{press.user.id}:{action.action_ts}"
    made = Press(
        event_keys=(f"{PLATFORM}:{identity.team}:{gesture}",),
        person=presser(press, identity),
        conversation=_conversation(identity, press.channel.id, press.message.thread),
        turn_id=pressed.turn_id,
        reference=str(Reference(ts=action.action_ts, thread=press.message.thread)),
    )
    return ButtonPressed(button=pressed.button, press=made, is_marked=pressed.is_marked)


def _opened(home: HomeOpened, identity: Identity, now: float) -> ChatOpened:
    opening = Message(
        event_keys=(f"{PLATFORM}:{identity.team}:opened:{home.user}",),
        conversation=_conversation(identity, home.channel, ""),
        sender=member(home.user, identity),
        text=str(commands.START),
        sent_at=now,
    )
    return ChatOpened(opening=opening)


def _stop(stopped: SessionStopped, event_id: str, identity: Identity) -> Press:
    return Press(
        event_keys=(f"{PLATFORM}:{identity.team}:event:{event_id}",),
        person=member(stopped.user, identity),
        conversation=_conversation(identity, stopped.channel, stopped.thread_ts),
        turn_id=0,
    )


def _slash_command(slash: SlashCommand, identity: Identity, now: float) -> Heard:
    """A private message in any channel: only the person who types a slash command sees it and its answer."""
    message = Message(
        event_keys=(f"{PLATFORM}:{identity.team}:slash:{slash.trigger_id}",),
        conversation=_conversation(identity, slash.channel_id, ""),
        sender=commander(slash, identity),
        text=_slash_text(plain(slash.text, identity.user).lstrip("/!")),
        sent_at=now,
        reference=slash.response_url,
    )
    return Heard(message=message, addressed=True, follows=False)


def _slash_text(text: str) -> str:
    """`/parley reset` is "/reset"; other words are a question, even if they begin like "stop the noise, how?"."""
    if not text:
        return str(commands.HELP)
    call = commands.parse(text, prefix="")
    return str(call) if call and call.command and call.command.fits(call.argument) else text


def _conversation(identity: Identity, channel: str, thread: str) -> ConversationKey:
    return ConversationKey(platform=PLATFORM, workspace=identity.team, chat=channel, thread=thread)
