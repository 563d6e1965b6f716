"""What front ends add to a reply: the emoji of its mood, and below it the words that name what it cites."""

from bots.markdown import followed_by, with_paragraph
from core.faces import face
from core.messages import Reply


def with_additions(reply: Reply) -> str:
    """The Markdown of a reply with all that is added to it."""
    text = followed_by(reply.text, emoji) if (emoji := face(reply)) else reply.text
    return with_paragraph(text, reply.cites) if reply.cites else text
