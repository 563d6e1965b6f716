"""The parts of a Slack message: the sender's own words, what they quote, and what cannot be read."""

from collections.abc import Iterable, Iterator

from bots.slack.identity import Identity
from bots.slack.payloads import Attachment, Content, File, MessageEvent, ThreadMessage
from bots.slack.text import plain
from core.messages import Author, Media, Quote, Relation
from core.text import CUT

GONE = {"tombstone", "hidden_by_limit"}
"""Modes of files that Slack does not show any more."""
CLIPS = {"slack_audio": Media.VOICE, "slack_video": Media.VIDEO}
MEDIA = {"image": Media.PICTURE, "audio": Media.AUDIO, "video": Media.VIDEO}
"""Kinds of files by the first half of their type."""
PLACEHOLDERS = {"[no preview available]", "This message contains interactive elements."}
"""What Slack writes if it has no words for an attachment."""


def own_markup(content: Content) -> str:
    """What the sender wrote, in Slack's markup. Slack shows blocks in place of the text, if there are any."""
    return content.blocks.words or content.text


def quotes(event: MessageEvent, identity: Identity) -> Iterator[Quote]:
    """Messages that are shared, tables and previews; then the words of files."""
    if event.blocks.tables:
        yield Quote(relation=Relation.ATTACHED, text=plain(event.blocks.tables, identity.user))
    for attachment in event.attachments:
        yield Quote(
            relation=Relation.FORWARDED if attachment.is_message else Relation.ATTACHED,
            author=_author(attachment, event.user, identity),
            text=plain(_markup(attachment), identity.user),
            media=media(attachment.files),
        )
    for words in map(_preview, event.files):
        if words:
            yield Quote(relation=Relation.ATTACHED, text=words)


def earlier(said: ThreadMessage, sender: str, identity: Identity) -> Quote:
    """The whole of an earlier message in the thread."""
    shown = "\n".join([own_markup(said), said.blocks.tables, *map(_markup, said.attachments)])
    words = [plain(shown, identity.user), *map(_preview, said.files)]
    files = (*said.files, *(file for attachment in said.attachments for file in attachment.files))
    person = Author.SENDER if said.user == sender else Author.PERSON
    return Quote(
        relation=Relation.EARLIER,
        author=Author.APP if said.bot_id else person,
        text="\n".join(filter(None, words)),
        media=media(files),
    )


def media(files: Iterable[File]) -> tuple[Media, ...]:
    """The kinds of files, without those whose words are quoted."""
    shown = (file for file in files if file.mode not in GONE and not _preview(file))
    return tuple(dict.fromkeys(_kind(file) for file in shown))


def _kind(file: File) -> Media:
    """Slack's voice clips have the type of a video."""
    return CLIPS.get(file.subtype) or MEDIA.get(file.mimetype.partition("/")[0], Media.FILE)


def _preview(file: File) -> str:
    """The first lines of a text file or snippet, or the text of an e-mail; empty for other files."""
    is_text = file.mode == "snippet" or (file.mimetype.startswith("text/") and file.mimetype != "text/html")
    words = file.plain_text or (file.preview if is_text else "")
    return f"{words}\n{CUT}" if words and (file.preview_is_truncated or file.lines_more) else words


def _markup(attachment: Attachment) -> str:
    """The words of an attachment, in Slack's markup."""
    if blocks := str(attachment.message_blocks) or str(attachment.blocks):
        return blocks
    title = f"<{attachment.title_link}|{attachment.title}>" if attachment.title_link else attachment.title
    fields = (f"{field.title}: {field.value}" if field.title else field.value for field in attachment.fields)
    words = "\n".join(filter(None, [attachment.pretext, title, attachment.text, *fields]))
    return words or ("" if attachment.fallback in PLACEHOLDERS else attachment.fallback)


def _author(attachment: Attachment, sender: str, identity: Identity) -> Author:
    if attachment.bot_id:
        return Author.APP
    known = {"": Author.UNKNOWN, sender: Author.SENDER, identity.user: Author.BOT}
    return known.get(attachment.author_id, Author.PERSON)
