"""The commands in Telegram's menu are the bot's."""

import pytest

from bots.telegram.menu import KNOWN, menu
from core.i18n import LOCALES
from core.messages import Locale
from core.stages.commands import COMMANDS

ELSEWHERE = {"retry", "stop"}
"""Handled before the table of commands is asked."""


def test_every_command_is_known() -> None:
    """What the core understands is heard in groups, and nothing else is."""
    assert set(COMMANDS) | ELSEWHERE == KNOWN


@pytest.mark.parametrize("locale", LOCALES)
def test_the_menu_fits(locale: Locale) -> None:
    """Every command but /start is offered, with a few words that Telegram takes."""
    commands = menu(locale)
    assert {command.command for command in commands} == KNOWN - {"start"}
    assert all(1 <= len(command.description) <= 256 for command in commands)
