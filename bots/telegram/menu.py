"""The commands that Telegram shows in its menu, in each language."""

from telegram import BotCommand

from core.i18n import say
from core.messages import Locale

NAMES = ("help", "reset", "retry", "stop", "lang", "mood", "stats", "export", "forget")
KNOWN = frozenset({"start", *NAMES})


def menu(locale: Locale) -> list[BotCommand]:
    return [BotCommand(name, say(locale, f"menu.{name}")) for name in NAMES]
