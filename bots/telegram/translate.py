"""From Telegram's updates to what people mean by them. Pure: an update and who we are go in, a gesture comes out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bots.telegram.buttons import Buttons
from bots.telegram.shapes import Entity, Post, Query, Replied, Update, User
from core import commands
from core.language import locale_of_tag
from core.messages import ConversationKey, Kind, Message, Person

PLATFORM = "telegram"
GROUPS = {"group", "supergroup"}
MEDIA = {
    *("photo", "video", "audio", "voice", "document", "sticker", "animation", "video_note", "location", "venue"),
    *("contact", "poll", "dice", "game", "story", "paid_media", "checklist"),
}
MAX_QUOTED = 240
"""Characters that are read of what a message replies to."""
AFTER_A_NAME = " \t\n,:;，：；、"


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """The bot as it knows itself. The name is empty until Telegram has said it."""

    id: int
    username: str
    groups: Literal["mention", "all", "off"]
    buttons: Buttons


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


Gesture: TypeAlias = Message | Vote | Moved


def translate(update: Update, me: Me) -> Gesture | None:
    """What an update means, None if it is not for us."""
    if update.callback_query is not None:
        return _pressed(update.update_id, update.callback_query, me)
    post = update.message
    if post is None:
        return None
    if post.migrate_to_chat_id is not None:
        return _moved(post.chat.id, post.migrate_to_chat_id, me)
    if post.migrate_from_chat_id is not None:
        return _moved(post.migrate_from_chat_id, post.chat.id, me)
    if post.sender is None or not _is_from_a_person(post) or not _is_for_us(post, me):
        return None
    return Message(
        event_keys=tuple(_event_keys(update.update_id, post, me)),
        conversation=_conversation(post, me),
        sender=_person(post.sender, me),
        text=_without_our_name(post, me),
        sent_at=float(post.date),
        kind=_kind(post),
        reference=str(post.message_id),
        context=_pointed_at(post, me),
    )


def _moved(old: int, new: int, me: Me) -> Moved:
    """Said once in either chat. The group that was had no topics."""
    there = ConversationKey(platform=PLATFORM, workspace=str(me.id), chat=str(new))
    return Moved(old=replace(there, chat=str(old)), new=there)


def _pressed(update_id: int, query: Query, me: Me) -> Gesture | None:
    post = query.message
    if post is None or query.sender.is_bot or (pressed := me.buttons.read(query.data, post.chat.id)) is None:
        return None
    person = _person(query.sender, me)
    if pressed.choice != "again":
        return Vote(turn_id=pressed.turn_id, person=person, value=1 if pressed.choice == "up" else -1)
    return Message(
        event_keys=(f"telegram:{me.id}:update:{update_id}", f"telegram:{me.id}:callback:{query.id}"),
        conversation=_conversation(post, me),
        sender=person,
        text=str(commands.RETRY),
        sent_at=float(post.date),
        kind=_kind(post),
        reference=str(post.message_id),
    )


def _is_from_a_person(post: Post) -> bool:
    """Not from a bot, nor through one, nor in a channel's name."""
    by_proxy = post.via_bot or post.sender_chat or post.is_automatic_forward
    return post.sender is not None and not post.sender.is_bot and not by_proxy


def _is_for_us(post: Post, me: Me) -> bool:
    text = _text(post)
    if text is None and not MEDIA & (post.model_extra or {}).keys():
        return False  # somebody joined, a message was pinned
    if post.chat.type == "private":
        return True
    if post.chat.type not in GROUPS or me.groups == "off":
        return False
    call = commands.parse(text or "")
    if call and call.addressee:
        return call.addressee.lower() == me.username.lower()
    if call and call.command:
        return True
    talked_to = _is_reply_to_us(post, me) or any(_is_our_name(text or "", entity, me) for entity in _entities(post))
    return talked_to or (me.groups == "all" and text is not None and not call)


def _is_reply_to_us(post: Post, me: Me) -> bool:
    """In a topic every message replies to the one that opened the topic, whoever's that was."""
    replied = post.reply_to_message
    if replied is None or replied.sender is None or replied.forum_topic_created is not None:
        return False
    return replied.sender.id == me.id


def _is_our_name(text: str, entity: Entity, me: Me) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == me.id
    return entity.type == "mention" and _slice(text, entity).lower() == f"@{me.username}".lower()


def _without_our_name(post: Post, me: Me) -> str:
    """The words without the mentions of us, and a command without the name of whose it is."""
    text = _text(post) or ""
    for entity in sorted(_entities(post), key=lambda entity: entity.offset, reverse=True):
        if _is_our_name(text, entity, me):
            before, after = _around(text, entity)
            text = before + after.lstrip(AFTER_A_NAME if not before.strip() else " ")
    call = commands.parse(text)
    return str(call) if call and call.addressee.lower() == me.username.lower() else text


def _pointed_at(post: Post, me: Me) -> str:
    """What a person replies to: the part they marked, or else all of it, unless we said it ourselves."""
    replied = post.reply_to_message
    if post.quote is not None:
        said = post.quote.text
    elif replied is None or replied.forum_topic_created is not None or _is_reply_to_us(post, me):
        return ""
    else:
        said = _text(replied) or ""
    return said if len(said) <= MAX_QUOTED else said[:MAX_QUOTED] + " …"


def _text(post: Post | Replied) -> str | None:
    return post.caption if post.text is None else post.text


def _entities(post: Post) -> Iterable[Entity]:
    return post.caption_entities if post.text is None else post.entities


def _slice(text: str, entity: Entity) -> str:
    units = text.encode("utf-16-le", "surrogatepass")
    return _decoded(units[2 * entity.offset : 2 * (entity.offset + entity.length)])


def _around(text: str, entity: Entity) -> tuple[str, str]:
    units = text.encode("utf-16-le", "surrogatepass")
    return _decoded(units[: 2 * entity.offset]), _decoded(units[2 * (entity.offset + entity.length) :])


def _decoded(units: bytes) -> str:
    return units.decode("utf-16-le", "surrogatepass")


def _event_keys(update_id: int, post: Post, me: Me) -> Iterable[str]:
    """An album comes as one update for each picture; it is one gesture."""
    yield f"telegram:{me.id}:update:{update_id}"
    yield f"telegram:{me.id}:message:{post.chat.id}:{post.message_id}"
    if post.media_group_id:
        yield f"telegram:{me.id}:album:{post.chat.id}:{post.media_group_id}"


def _conversation(post: Post, me: Me) -> ConversationKey:
    """In plain groups a thread id names a chain of replies and is no place of its own."""
    thread = str(post.message_thread_id) if post.is_topic_message and post.message_thread_id else ""
    return ConversationKey(platform=PLATFORM, workspace=str(me.id), chat=str(post.chat.id), thread=thread)


def _person(user: User, me: Me) -> Person:
    return Person(
        platform=PLATFORM,
        workspace=str(me.id),
        id=str(user.id),
        display_name=user.first_name,
        locale=locale_of_tag(user.language_code),
    )


def _kind(post: Post) -> Kind:
    return Kind.PRIVATE if post.chat.type == "private" else Kind.GROUP
