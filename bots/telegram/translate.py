"""Translate Telegram's updates into what people ask of the bot. Pure: nothing is fetched, stored or sent."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bots.telegram.buttons import Button, Buttons
from bots.telegram.identity import PLATFORM, ROOT, Identity
from bots.telegram.parts import is_bot_name, media, own_media, own_words, quotes, raw_words
from bots.telegram.payloads import CallbackQuery, Chat, MembershipChange, Post, Update, User
from bots.telegram.ties import ties
from core import commands
from core.buttons import Press
from core.language import locale_of_tag
from core.messages import ConversationKey, Edit, Kind, Message, Person
from core.text import digest

Groups: TypeAlias = Literal["mention", "all", "off"]
"""Which messages in groups are for the bot: those that address it, all, or none."""
GROUPS = {"group", "supergroup"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A message that is for the bot only if it belongs to another one that is, such as the next piece of a text."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPressed:
    """A person pressed one of the bot's buttons."""

    button: Button
    press: Press


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The bot was added to a group, perhaps as an administrator, who gets every message. `opening` is a /start of the
    person who added it.
    """

    opening: Message
    as_administrator: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A group became a supergroup, which has another id."""

    old: ConversationKey
    new: ConversationKey


Gesture: TypeAlias = Message | Edit | Overheard | ButtonPressed | Added | Moved


def translate(update: Update, identity: Identity, *, groups: Groups, buttons: Buttons, desk: int = 0) -> Gesture | None:
    """What an update asks of the bot; None if it is not for the bot. In the chat `desk` it need not address it."""
    if update.callback_query is not None:
        return _press(update.callback_query, identity, buttons)
    post = update.message or update.edited_message
    if post is not None and post.chat.id == desk:
        groups = "mention" if groups == "off" else groups
    if update.edited_message is not None:
        return _edited(update.edited_message, identity, groups)
    if update.my_chat_member is not None:
        return _membership(update.my_chat_member, identity, groups)
    return _posted(update.message, identity, groups, desk) if update.message else None


def _posted(post: Post, identity: Identity, groups: Groups, desk: int) -> Message | Overheard | Moved | None:
    if post.migrate_to_chat_id is not None:
        return _moved(post.chat.id, post.migrate_to_chat_id, identity)
    if post.migrate_from_chat_id is not None:
        return _moved(post.migrate_from_chat_id, post.chat.id, identity)
    return _said(post, identity, groups, desk)


def _said(post: Post, identity: Identity, groups: Groups, desk: int) -> Message | Overheard | None:
    sender = _sender(post, identity)
    if sender is None or not _may_be_for_the_bot(post, groups):
        return None
    message = _message(post, sender, identity)
    if _is_for_the_bot(post, identity, groups):
        return message
    return Overheard(message=message) if message.ties.joins or post.chat.id == desk else None


def _edited(post: Post, identity: Identity, groups: Groups) -> Edit | None:
    sender = _sender(post, identity)
    if sender is None or not _may_be_for_the_bot(post, groups):
        return None
    message = _message(post, sender, identity)
    return Edit(
        event_keys=(_edit_key(message, identity),),
        message=message,
        is_addressed=_is_for_the_bot(post, identity, groups),
    )


def _edit_key(message: Message, identity: Identity) -> str:
    """The identity of an edit. Its date is in whole seconds, so that its words tell it from another one in the same."""
    words = digest(f"{message.text} {message.media}").hex()
    place = f"{message.conversation.chat}:{message.reference}"
    return f"telegram:{identity.id}:edit:{place}:{message.edited_at:.0f}:{words}"


def _message(post: Post, sender: Person, identity: Identity) -> Message:
    text = own_words(post, identity)
    return Message(
        event_keys=tuple(_event_keys(post, identity)),
        conversation=_conversation(post, identity),
        sender=sender,
        text=text,
        sent_at=float(post.date),
        kind=_kind(post),
        reference=str(post.message_id),
        quotes=tuple(quotes(post, identity)),
        media=own_media(post),
        edited_at=float(post.edit_date),
        ties=ties(post, text),
        replies_to=tuple(_replies_to(post)),
    )


def _replies_to(post: Post) -> Iterable[str]:
    """The first message of the chain of replies, as a thread, and the message replied to; none in a topic."""
    if post.chat.type in GROUPS and not post.is_topic_message and post.reply_to_message is not None:
        replied = post.reply_to_message.message_id
        yield f"{ROOT}{post.message_thread_id or replied}"
        yield f"{ROOT}{replied}"
        yield str(replied)


def _moved(old: int, new: int, identity: Identity) -> Moved:
    """The same for the service messages in the old chat and in the new one. The old group had no topics."""
    there = ConversationKey(platform=PLATFORM, workspace=str(identity.id), chat=str(new))
    return Moved(old=replace(there, chat=str(old)), new=there)


def _press(press: CallbackQuery, identity: Identity, buttons: Buttons) -> ButtonPressed | None:
    post = press.message
    if post is None or press.sender.is_bot or (pressed := buttons.read(press.data, post.chat.id)) is None:
        return None
    made = Press(
        event_keys=(f"telegram:{identity.id}:callback:{press.id}",),
        person=_person(press.sender, identity),
        conversation=_conversation(post, identity),
        turn_id=pressed.turn_id,
        reference=str(post.message_id),
        words=press.words,
    )
    return ButtonPressed(button=pressed.button, press=made)


def _membership(change: MembershipChange, identity: Identity, groups: Groups) -> Added | None:
    """None unless the bot came into a group in which it answers."""
    chat, sender = change.chat, change.sender
    is_new = change.new_chat_member.is_in and not change.old_chat_member.is_in
    if not is_new or chat.type not in GROUPS or groups == "off":
        return None
    opening = Message(
        event_keys=(f"telegram:{identity.id}:added:{chat.id}",),
        conversation=ConversationKey(platform=PLATFORM, workspace=str(identity.id), chat=str(chat.id)),
        sender=_in_the_name_of(chat, identity) if sender.is_bot else _person(sender, identity),
        text=str(commands.START),
        sent_at=float(change.date),
        kind=Kind.GROUP,
    )
    return Added(opening=opening, as_administrator=change.new_chat_member.status == "administrator")


def _sender(post: Post, identity: Identity) -> Person | None:
    """Who wrote a message; None for a bot, and for a channel's post that Telegram copies to its group by itself.

    What is sent through an inline bot is its sender's. Anonymous administrators, and people who write as a channel,
    cannot be told apart: the group or the channel is their sender, with the name of its entry in `access.allow`.
    """
    if post.is_automatic_forward:
        return None
    if chat := post.sender_chat:
        return _in_the_name_of(chat, identity)
    return None if post.sender is None or post.sender.is_bot else _person(post.sender, identity)


def _may_be_for_the_bot(post: Post, groups: Groups) -> bool:
    if not _has_text(post) and not media(post):
        return False  # a service message: a member joined, a message was pinned
    return post.chat.type == "private" or (post.chat.type in GROUPS and groups != "off")


def _is_for_the_bot(post: Post, identity: Identity, groups: Groups) -> bool:
    if post.chat.type == "private":
        return True
    text, entities = raw_words(post)
    call = commands.parse(text)
    if call and call.addressee:
        return call.addressee.lower() == identity.username.lower()
    if call and call.command:
        return True
    mentioned = any(is_bot_name(text, entity, identity) for entity in entities)
    return mentioned or _is_reply_to_bot(post, identity) or (groups == "all" and _has_text(post) and not call)


def _has_text(post: Post) -> bool:
    return post.text is not None or post.caption is not None


def _is_reply_to_bot(post: Post, identity: Identity) -> bool:
    """False for a reply to a topic's opening message: Telegram marks every message of a topic as such a reply."""
    replied_to = post.reply_to_message
    if replied_to is None or replied_to.sender is None or replied_to.forum_topic_created is not None:
        return False
    return replied_to.sender.id == identity.id


def _event_keys(post: Post, identity: Identity) -> Iterable[str]:
    """The identities of a gesture.

    The update's number is none: after a week without updates, Telegram numbers them anew from anywhere.
    """
    yield f"telegram:{identity.id}:message:{post.chat.id}:{post.message_id}"


def _conversation(post: Post, identity: Identity) -> ConversationKey:
    """Only a topic of a forum is a thread. In plain groups `message_thread_id` names a chain of replies."""
    thread = str(post.message_thread_id) if post.is_topic_message and post.message_thread_id else ""
    return ConversationKey(platform=PLATFORM, workspace=str(identity.id), chat=str(post.chat.id), thread=thread)


def _in_the_name_of(chat: Chat, identity: Identity) -> Person:
    return Person(platform=PLATFORM, workspace=str(identity.id), id=f"chat:{chat.id}", display_name=chat.title)


def _person(user: User, identity: Identity) -> Person:
    return Person(
        platform=PLATFORM,
        workspace=str(identity.id),
        id=str(user.id),
        display_name=user.first_name,
        locale=locale_of_tag(user.language_code),
    )


def _kind(post: Post) -> Kind:
    return Kind.PRIVATE if post.chat.type == "private" else Kind.GROUP
