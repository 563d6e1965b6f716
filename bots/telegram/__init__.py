"""Telegram as a front end: messages in by polling or webhook, answers out by placeholder and edit."""

from bots.telegram.adapter import open_telegram

__all__ = ["open_telegram"]
