"""The error answers of the Web API."""


class SlackError(Exception):
    """Its text is Slack's error code."""
