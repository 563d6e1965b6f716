"""Scopes of the model server's prefix cache: a prompt reuses only what was computed for one of the same scope."""

from core.text import digest


def scope(conversation: str, person: str = "") -> str:
    """The scope of a person's prompts in a conversation; without a person, of all who share a history there.

    It tells neither of the two, since it leaves the process.
    """
    return digest(f"{conversation} {person}").hex()
