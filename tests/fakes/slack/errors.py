"""What the API says instead of "ok"."""


class SlackError(Exception):
    """Its text is Slack's word for it."""
