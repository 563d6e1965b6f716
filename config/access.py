"""The forms of entries in the access lists. Entries of another form would silently have no effect."""

import re
from collections.abc import Mapping, Sequence

PEOPLE = {
    "telegram:123456789": r"telegram:[1-9]\d*",
    "slack:U0123ABCD": r"slack:[UW][A-Z0-9]+",
    "console:NAME": r"console:[^*]+",
}
"""An example of each form, and its pattern."""
PLACES = {
    "telegram:chat:-1001234567890": r"telegram:chat:-[1-9]\d*",
    "slack:channel:C0123ABCD": r"slack:channel:[CG][A-Z0-9]+",
}
PLATFORMS = {name: re.escape(name) for name in ("telegram:*", "slack:*", "console:*")}


def allow(entries: Sequence[str]) -> Sequence[str]:
    """Entries of `access.allow`, each in a form that is known."""
    return _checked(entries, PEOPLE | PLACES | PLATFORMS)


def admins(entries: Sequence[str]) -> Sequence[str]:
    """Entries of `access.admins`, each one person."""
    return _checked(entries, PEOPLE)


def _checked(entries: Sequence[str], forms: Mapping[str, str]) -> Sequence[str]:
    for entry in entries:
        if not any(re.fullmatch(form, entry) for form in forms.values()):
            *most, last = forms
            raise ValueError(f"{entry!r} should be like {', '.join(most)} or {last}")
    return entries
