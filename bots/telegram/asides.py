"""Replies for one person alone to what they asked in a group: they go to the person's private chat with the bot.

A bot may write there only after the person has, and who writes in a chat's name has none that is known. Otherwise the
group is shown a link, which asks again in private.
"""

import structlog
from telegram.helpers import create_deep_linked_url

from bots.markdown import FormattedText
from bots.telegram.api import Place, TelegramApi
from bots.telegram.handle import Handle
from core.commands import personal_command
from core.delivery import Claim
from core.errors import DeliveryRejected
from core.i18n import say

log = structlog.get_logger()


def private_place(claim: Claim) -> Place | None:
    """The sender's private chat with the bot, which has the sender's id; None if the sender is a chat."""
    id_ = claim.message.sender.id
    return Place(chat=int(id_)) if id_.isdecimal() else None


def place_in_private(claim: Claim) -> Place | None:
    """The private chat if the claim's messages are there; None if they are in the group."""
    place = private_place(claim)
    shown = Handle.parse(claim.handle)
    return place if place and shown and shown.chat == place.chat else None


async def open_aside(api: TelegramApi, claim: Claim, group: Place, words: str) -> Handle:
    """Post the reply's first message, with some words, in the private chat; or the link's placeholder in the group."""
    if place := private_place(claim):
        try:
            return Handle(chat=place.chat, ids=(await api.post(place, words),))
        except DeliveryRejected as error:
            log.info("no private chat", turn=claim.id, reason=error.reason)
    return Handle(chat=group.chat, ids=(await api.post(group),))


async def link_to_private(api: TelegramApi, claim: Claim) -> FormattedText:
    """What the group is shown instead of the reply. The link carries no argument: anybody may press it."""
    command = personal_command(claim.message.text)
    assert command is not None
    identity = await api.identify()
    link = create_deep_linked_url(identity.username, command.name)
    return FormattedText(text=say(claim.locale, "private.link", link=link))
