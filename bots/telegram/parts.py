"""The parts of a Telegram message: the sender's own words, what they quote, and what cannot be read."""

from collections.abc import Iterable, Iterator, Mapping

from bots.names import Name, in_company, you
from bots.telegram.identity import Identity
from bots.telegram.payloads import Chat, Content, Entity, Origin, Post, RepliedTo, User
from core import commands
from core.messages import Author, Media, Quote, Relation

MEDIA: Mapping[str, Media] = {
    "photo": Media.PICTURE,
    "live_photo": Media.PICTURE,
    "video": Media.VIDEO,
    "video_note": Media.VIDEO,
    "animation": Media.ANIMATION,
    "voice": Media.VOICE,
    "audio": Media.AUDIO,
    "sticker": Media.STICKER,
    "document": Media.FILE,
    "location": Media.LOCATION,
    "venue": Media.LOCATION,
    "contact": Media.CONTACT,
    "poll": Media.POLL,
    **dict.fromkeys(("checklist", "dice", "game", "giveaway", "invoice", "paid_media", "story"), Media.OTHER),
}
"""Fields of a message that hold something else than text."""
NAMES = {"mention", "text_mention"}
"""Entities that name an account: by its user name, or by its first name."""
AFTER_A_MENTION = " \t\n,:;，：；、"


def own_words(post: Post, identity: Identity) -> str:
    """The sender's text without the bot's name, and "/help@parley_bot" as "/help". A forwarded text is not theirs.

    "/start export", which a link to the private chat sends, is "/export".
    """
    if post.forward_origin is not None:
        return ""
    text = _text(post, identity)
    call = commands.parse(text)
    if call and call.command is commands.START and (linked := commands.personal_command(f"/{call.argument}")):
        return str(linked)
    return str(call) if call and call.addressee.lower() == identity.username.lower() else text


def raw_words(post: Post) -> tuple[str, Iterable[Entity]]:
    """The sender's text as it came, with its entities; both are empty if the text is forwarded."""
    return ("", ()) if post.forward_origin else _marked(post)


def own_media(post: Post) -> tuple[Media, ...]:
    """What the sender adds that cannot be read. What they forward belongs to its quote."""
    return () if post.forward_origin else media(post)


def quotes(post: Post, identity: Identity) -> Iterator[Quote]:
    """The message replied to, or the selected part of it; then what is forwarded, or the words of a poll."""
    if (replied := _replied(post, identity)) and (replied.text or replied.media):
        yield replied
    if origin := post.forward_origin:
        author = _author_of(origin, post.sender, identity)
        yield Quote(relation=Relation.FORWARDED, author=author, text=_words(post, identity), media=media(post))
    elif attached := "\n".join(filter(None, _lines(post))):
        yield Quote(relation=Relation.ATTACHED, author=Author.SENDER, text=attached)


def media(content: Content) -> tuple[Media, ...]:
    """The kinds of things in a message that are not text. Telegram sends an animation as a document too."""
    given = {name for name, value in content if value is not None}
    if "animation" in given:
        given.discard("document")
    return tuple(dict.fromkeys(kind for name, kind in MEDIA.items() if name in given))


def is_bot_name(text: str, entity: Entity, identity: Identity) -> bool:
    """Whether an entity mentions the bot."""
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == identity.id
    return entity.type == "mention" and _split(text, entity)[1].lower() == f"@{identity.username}".lower()


def names_another(post: Post, identity: Identity) -> bool:
    """Whether the sender names an account that is not the bot's. It may be the bot's, under a new name."""
    text, entities = raw_words(post)
    call = commands.parse(text)
    is_called = call is not None and call.addressee.lower() not in {"", identity.username.lower()}
    return is_called or any(entity.type == "mention" and not is_bot_name(text, entity, identity) for entity in entities)


def _replied(post: Post, identity: Identity) -> Quote | None:
    """None if there is none, or if it only opens a topic: Telegram marks every message of a topic as such a reply."""
    source: Content
    if post.reply_to_message is not None and post.reply_to_message.forum_topic_created is None:
        source, author = post.reply_to_message, _author(post.reply_to_message, post.sender, identity)
    elif post.external_reply is not None:
        source, author = post.external_reply, _author_of(post.external_reply.origin, post.sender, identity)
    else:
        return None
    if post.quote is not None:
        return Quote(relation=Relation.SELECTED, author=author, text=post.quote.text, media=media(source))
    return Quote(relation=Relation.REPLIED, author=author, text=_words(source, identity), media=media(source))


def _author(replied: RepliedTo, sender: User | None, identity: Identity) -> Author:
    if replied.forward_origin is not None:
        return _author_of(replied.forward_origin, sender, identity)
    return _author_in(replied.sender_chat) if replied.sender_chat else _author_who(replied.sender, sender, identity)


def _author_of(origin: Origin, sender: User | None, identity: Identity) -> Author:
    chat = origin.chat or origin.sender_chat
    return _author_in(chat) if chat else _author_who(origin.sender_user, sender, identity)


def _author_in(chat: Chat) -> Author:
    """In a group, an administrator who stays anonymous."""
    return Author.CHANNEL if chat.type == "channel" else Author.PERSON


def _author_who(user: User | None, sender: User | None, identity: Identity) -> Author:
    """A user who is not named is a person who hides their account."""
    if user is None:
        return Author.PERSON
    if user.id == identity.id:
        return Author.BOT
    if sender is not None and user.id == sender.id:
        return Author.SENDER
    return Author.APP if user.is_bot else Author.PERSON


def _words(content: Content, identity: Identity) -> str:
    return "\n".join(filter(None, [_text(content, identity), *_lines(content)]))


def _lines(content: Content) -> Iterator[str]:
    """The words of a poll, a checklist or a place."""
    if content.poll:
        yield content.poll.question
        yield from (f"- {option.text}" for option in content.poll.options)
    if content.checklist:
        yield content.checklist.title
        yield from (f"- {task.text}" for task in content.checklist.tasks)
    if content.venue:
        yield content.venue.title
        yield content.venue.address


def _text(content: Content, identity: Identity) -> str:
    """The text or caption with the addresses of its links. A mention of the bot is left out, or is "@you" in a row with
    others.
    """
    text, entities = _marked(content)
    whole, company = text, in_company(text, _names(text, entities, identity))
    for entity in sorted(entities, key=lambda entity: entity.offset, reverse=True):
        before, marked, after = _split(text, entity)
        if entity.type == "text_link" and entity.url:
            text = f"{before}{marked} ({entity.url}){after}"
        elif len(before) in company:
            text = before + you(whole) + after
        elif is_bot_name(text, entity, identity):
            text = before + after.lstrip(AFTER_A_MENTION if not before.strip() else " ")
    return text


def _names(text: str, entities: Iterable[Entity], identity: Identity) -> Iterator[Name]:
    for entity in entities:
        if entity.type in NAMES:
            before, marked, _ = _split(text, entity)
            is_bot = is_bot_name(text, entity, identity)
            yield Name(start=len(before), end=len(before) + len(marked), is_bot=is_bot)


def _marked(content: Content) -> tuple[str, Iterable[Entity]]:
    if content.text is not None:
        return content.text, content.entities
    return content.caption or "", content.caption_entities


def _split(text: str, entity: Entity) -> tuple[str, str, str]:
    """What stands before, in and after an entity."""
    units = text.encode("utf-16-le", "surrogatepass")
    begin, end = 2 * entity.offset, 2 * (entity.offset + entity.length)
    return _decoded(units[:begin]), _decoded(units[begin:end]), _decoded(units[end:])


def _decoded(units: bytes) -> str:
    return units.decode("utf-16-le", "surrogatepass")
