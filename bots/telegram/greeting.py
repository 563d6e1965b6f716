"""What the bot says when it is added to a group: which messages it sees there, and which it answers."""

from bots.telegram.identity import Identity
from bots.telegram.translate import Groups
from core.commands import SLASH
from core.i18n import say
from core.messages import Locale


def greeting(identity: Identity, groups: Groups, locale: Locale, *, hears_all: bool) -> str:
    """In privacy mode Telegram shows a bot only commands and what mentions it or replies to it
    (core.telegram.org/bots/features#privacy-mode).
    """
    seen = "shown" if not hears_all else "all" if groups == "all" else "addressed"
    return say(locale, f"greeting.{seen}", mention=identity, prefix=SLASH)
