"""Slack as a front end of the bot."""

from bots.slack.adapter import open_slack

__all__ = ["open_slack"]
