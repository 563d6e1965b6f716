"""The language of the terminal that a person sits at."""

import os

from core.language import locale_of_tag
from core.messages import Locale


def terminal_locale() -> Locale | None:
    """The language of the environment variables that gettext reads."""
    return locale_of_tag(os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG"))
