"""Slack's own markup as plain text."""

import pytest

from bots.slack.text import plain


@pytest.mark.parametrize(
    ("link", "seen"),
    [
        ("<https://docs.example.com/setup/index.html|setup>", "setup (https://docs.example.com/setup/index.html)"),
        ("<https://a.example/|a.example>", "a.example"),
        ("<https://a.example/b|https://a.example/b>", "https://a.example/b"),
        ("<http://a.example|a.example>", "a.example"),
        ("<mailto:me@a.example|me@a.example>", "me@a.example"),
        ("<https://a.example/example|example>", "example (https://a.example/example)"),
        ("<https://a.example>", "https://a.example"),
    ],
)
def test_no_address_is_lost(link: str, seen: str) -> None:
    """A label stands alone only if it is the address itself, not if it is a part of it."""
    assert plain(f"read {link} please", "UBOT") == f"read {seen} please"
