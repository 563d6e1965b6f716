"""Translate Telegram's updates into what people ask of the bot. Pure: nothing is fetched, stored or sent."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bots.telegram.buttons import Buttons
from bots.telegram.identity import PLATFORM, Identity
from bots.telegram.parts import is_bot_name, media, own_media, own_words, quotes, raw_words
from bots.telegram.payloads import ButtonPress, Post, Update, User
from bots.telegram.ties import ties
from core import commands
from core.language import locale_of_tag
from core.messages import ConversationKey, Kind, Message, Person

Groups: TypeAlias = Literal["mention", "all", "off"]
"""Which messages in groups are for the bot: those that address it, all, or none."""
GROUPS = {"group", "supergroup"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A message that is for the bot only if it belongs to another one that is, such as the next piece of a text."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A person's opinion of an answer, 1 or -1."""

    turn_id: int
    person: Person
    value: Literal[1, -1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A group became a supergroup, which has another id."""

    old: ConversationKey
    new: ConversationKey


Gesture: TypeAlias = Message | Overheard | Vote | Moved


def translate(update: Update, identity: Identity, *, groups: Groups, buttons: Buttons) -> Gesture | None:
    """What an update asks of the bot; None if it is not for the bot."""
    if update.callback_query is not None:
        return _press(update.update_id, update.callback_query, identity, buttons)
    post = update.message
    if post is None:
        return None
    if post.migrate_to_chat_id is not None:
        return _moved(post.chat.id, post.migrate_to_chat_id, identity)
    if post.migrate_from_chat_id is not None:
        return _moved(post.migrate_from_chat_id, post.chat.id, identity)
    return _said(update.update_id, post, identity, groups)


def _said(update_id: int, post: Post, identity: Identity, groups: Groups) -> Message | Overheard | None:
    if post.sender is None or not _is_from_a_person(post) or not _may_be_for_the_bot(post, groups):
        return None
    message = _message(update_id, post, post.sender, identity)
    if _is_for_the_bot(post, identity, groups):
        return message
    return Overheard(message=message) if message.ties.joins else None


def _message(update_id: int, post: Post, sender: User, identity: Identity) -> Message:
    text = own_words(post, identity)
    return Message(
        event_keys=tuple(_event_keys(update_id, post, identity)),
        conversation=_conversation(post, identity),
        sender=_person(sender, identity),
        text=text,
        sent_at=float(post.date),
        kind=_kind(post),
        reference=str(post.message_id),
        quotes=tuple(quotes(post, identity)),
        media=own_media(post),
        ties=ties(post, text),
    )


def _moved(old: int, new: int, identity: Identity) -> Moved:
    """The same for the service messages in the old chat and in the new one. The old group had no topics."""
    there = ConversationKey(platform=PLATFORM, workspace=str(identity.id), chat=str(new))
    return Moved(old=replace(there, chat=str(old)), new=there)


def _press(update_id: int, press: ButtonPress, identity: Identity, buttons: Buttons) -> Gesture | None:
    post = press.message
    if post is None or press.sender.is_bot or (button := buttons.read(press.data, post.chat.id)) is None:
        return None
    person = _person(press.sender, identity)
    if button.choice != "again":
        return Vote(turn_id=button.turn_id, person=person, value=1 if button.choice == "up" else -1)
    return Message(
        event_keys=(f"telegram:{identity.id}:update:{update_id}", f"telegram:{identity.id}:callback:{press.id}"),
        conversation=_conversation(post, identity),
        sender=person,
        text=str(commands.RETRY),
        sent_at=float(post.date),
        kind=_kind(post),
        reference=str(post.message_id),
    )


def _is_from_a_person(post: Post) -> bool:
    """False for a bot, for a message sent through a bot, and for a sender in the name of a chat."""
    by_proxy = post.via_bot or post.sender_chat or post.is_automatic_forward
    return post.sender is not None and not post.sender.is_bot and not by_proxy


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


def _event_keys(update_id: int, post: Post, identity: Identity) -> Iterable[str]:
    yield f"telegram:{identity.id}:update:{update_id}"
    yield f"telegram:{identity.id}:message:{post.chat.id}:{post.message_id}"


def _conversation(post: Post, identity: Identity) -> ConversationKey:
    """Only a topic of a forum is a thread. In plain groups `message_thread_id` names a chain of replies."""
    thread = str(post.message_thread_id) if post.is_topic_message and post.message_thread_id else ""
    return ConversationKey(platform=PLATFORM, workspace=str(identity.id), chat=str(post.chat.id), thread=thread)


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
