"""Translate Slack's payloads into what people ask of the bot. Pure: nothing is fetched, stored or sent."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from bots.slack import buttons
from bots.slack.buttons import Button
from bots.slack.identity import PLATFORM, Identity
from bots.slack.parts import media, own_markup, quotes
from bots.slack.payloads import (
    BlockActions,
    EventCallback,
    HomeOpened,
    MessageChanged,
    MessageDeleted,
    MessageEvent,
    Payload,
    PreviousMessage,
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
from core.messages import ConversationKey, Deletion, Edit, Kind, Message, Person

DirectMessages: TypeAlias = Literal["one", "threads"]
"""Whether the direct messages of a person are one conversation, or each begins one of its own with its thread."""
NEW_MESSAGES = {"", "file_share", "me_message", "thread_broadcast"}
"""Subtypes of messages in which a person says something new."""
USERS = re.compile(r"<@(\w+)")
GROUPS = re.compile(r"<!(?:subteam\^|here|channel|everyone)\b")
"""Mentions of people, and of many at once."""


class Address(StrEnum):
    """Whom a message is for. "Open" names nobody, so that it is for who took part in the thread."""

    BOT = "bot"
    OTHERS = "others"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A person wrote. A message that is not `addressed` to the bot is for it only if it follows the thread.

    `follows` is true if the message is a reply in a thread that exists already. Its conversation is that thread. If the
    message was edited, and is known, the event tells of the `edit` alone.
    """

    message: Message
    addressed: bool
    follows: bool
    edit: Edit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A message was changed. It `follows` if it is a reply in a thread."""

    edit: Edit
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


Gesture: TypeAlias = Heard | Overheard | Edited | Deleted | ButtonPressed | StopPressed | ChatOpened


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
        case MessageEvent() as event:
            return _message(event, callback.event_id, identity, directs)
        case MessageChanged() as changed:
            return _changed(changed, callback.event_id, identity, directs)
        case MessageDeleted(channel=channel, deleted_ts=ts, previous_message=before):
            return _deleted(channel, ts, before, identity)
        case HomeOpened() as home:
            return _opened(home, identity, now) if home.tab == "messages" else None
        case SessionStopped() as stopped:
            return StopPressed(press=_stop(stopped, callback.event_id, identity))
        case Revoked():
            return None


def _message(
    event: MessageEvent, event_id: str, identity: Identity, directs: DirectMessages
) -> Heard | Overheard | None:
    """A new message. An `app_mention` of an edited one may be the first event of it, or tell of the edit alone."""
    if not _is_said(event, identity):
        return None
    address = _address(event, identity)
    follows = _follows(event)
    if address is not Address.BOT and not follows:
        return None
    message = _said(event, _event_keys(event, event_id, identity), identity, directs)
    if address is Address.OTHERS:
        return Overheard(thread=message.conversation, speaker=message.sender)
    edit = _edit(message, event, event_id, address, identity) if event.edited else None
    return Heard(message=message, addressed=address is Address.BOT, follows=follows, edit=edit)


def _changed(changed: MessageChanged, event_id: str, identity: Identity, directs: DirectMessages) -> Gesture | None:
    event = changed.message
    if event.subtype == "tombstone":
        return _deleted(event.channel, event.ts, changed.previous_message, identity)
    if not _is_said(event, identity):
        return None
    message = _said(event, _message_keys(event, identity), identity, directs)
    edit = _edit(message, event, event_id, _address(event, identity), identity)
    return Edited(edit=edit, follows=_follows(event))


def _is_said(event: MessageEvent, identity: Identity) -> bool:
    """Whether a person says something, rather than an app or Slack itself."""
    is_said = event.subtype in NEW_MESSAGES and not event.hidden
    return is_said and not event.bot_id and event.user not in {"", identity.user, SLACKBOT}


def _follows(event: MessageEvent) -> bool:
    return event.thread_ts not in {"", event.ts}


def _address(event: MessageEvent, identity: Identity) -> Address:
    """Whom a message is for. Nobody is named in most lines of a thread."""
    markup = own_markup(event)
    named = set(USERS.findall(markup))
    if _is_private(event) or event.type == "app_mention" or identity.user in named:
        return Address.BOT
    has_words = markup or any(quote.text for quote in quotes(event, identity))
    return Address.OTHERS if named or GROUPS.search(markup) or not has_words else Address.OPEN


def _is_private(event: MessageEvent) -> bool:
    return event.channel_type == "im"


def _said(event: MessageEvent, keys: tuple[str, ...], identity: Identity, directs: DirectMessages) -> Message:
    private = _is_private(event)
    begun = "" if private and directs == "one" else event.ts
    return Message(
        event_keys=keys,
        conversation=_conversation(identity, event.channel, event.thread_ts if _follows(event) else begun),
        sender=author(event, identity),
        text=_with_command(plain(own_markup(event), identity.user)),
        sent_at=float(event.ts),
        kind=Kind.PRIVATE if private else Kind.GROUP,
        reference=event.ts,
        quotes=tuple(quotes(event, identity)),
        media=media(event.files),
        edited_at=float(event.edited or 0),
    )


def _edit(message: Message, event: MessageEvent, event_id: str, address: Address, identity: Identity) -> Edit:
    """What Slack adds to a message comes as a change as well, without an edit of its own: it has the event's id.

    A line to nobody is for the bot only in a thread that it follows.
    """
    key = f"{PLATFORM}:{identity.team}:edit:{event.channel}:{event.ts}:{event.edited or event_id}"
    is_open = address is Address.OPEN and _follows(event)
    return Edit(event_keys=(key,), message=message, is_addressed=None if is_open else address is Address.BOT)


def _deleted(channel: str, ts: str, before: PreviousMessage | None, identity: Identity) -> Deleted | None:
    """The deletion of a person's message: the bot deletes its own."""
    if before and before.user == identity.user:
        return None
    thread = (before.thread_ts if before else "") or ts
    deletion = Deletion(
        event_keys=(_message_key(channel, ts, identity),),
        conversation=_conversation(identity, channel, thread),
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
    return (f"{PLATFORM}:{identity.team}:event:{event_id}", *_message_keys(event, identity))


def _message_keys(event: MessageEvent, identity: Identity) -> tuple[str, ...]:
    """The identities of a message. Both events of a mention share the ts; both sends of a client, the client_msg_id."""
    client = (f"{PLATFORM}:{identity.team}:client:{event.client_msg_id}",) if event.client_msg_id else ()
    return (_message_key(event.channel, event.ts, identity), *client)


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
