"""Operators of the bot: how they sign in, and the sessions that they have then.

They have one password, whose argon2id hash is stored, or a key of the scope "admin". A session is a random token, of
which the digest alone is stored (`core/tokens.py`).
"""

import hmac
from dataclasses import dataclass

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import PasswordRefused
from core.keys import Scope, find_key
from core.store import installation, keys, sessions
from core.tokens import digest as digest_of
from core.tokens import spelled

MIN_CHARACTERS, MAX_BYTES = 12, 1_024
"""Of a password."""
SESSION_SECONDS, IDLE_SECONDS = 7 * 86_400.0, 12 * 3_600.0
"""How long a session lasts, and how long it may be unused."""
USES_APART = 60.0
"""Seconds between two notes of a session's use, at least."""
HASHER = PasswordHasher()
"""argon2id with the parameters that RFC 9106 recommends for little memory: 64 MiB, some 50 ms on a server's core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An operator who has signed in. `form_token` proves that a form was filled in on a page of this session, since
    another site cannot read it. `is_noted` tells whether its use was noted a moment ago; if not, `note_use` is due.
    """

    form_token: str
    key: str | None
    is_noted: bool


def hash_password(password: str) -> str:
    """The hash to store. Takes 64 MiB, and time by intention. Raises PasswordRefused."""
    if len(password) < MIN_CHARACTERS:
        raise PasswordRefused(f"should have {MIN_CHARACTERS} characters or more")
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PasswordRefused(f"should have {MAX_BYTES} bytes or fewer")
    return HASHER.hash(password.encode("utf-8", "surrogatepass"))


def fits(password: str, hashed: str) -> bool:
    """Whether a hash is that of this password. Takes as long as `hash_password`."""
    try:
        return HASHER.verify(hashed, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def set_password(connection: sa.Connection, hashed: str) -> None:
    """Have this password from now on, or none if it is empty. Whoever has signed in must do so again."""
    installation.set_password(connection, hashed)
    sessions.end_all(connection)


def is_open(connection: sa.Connection) -> bool:
    """Whether operators can sign in at all: there is a password, or a key of theirs."""
    return installation.password(connection) != "" or any(
        Scope.ADMIN in key.scopes and key.revoked_at is None for key in keys.listed(connection)
    )


def find_operator_key(connection: sa.Connection, presented: str, now: float) -> str | None:
    """The name of an operator's key; None if it is no such key."""
    key = find_key(connection, presented, now)
    return key.name if key and Scope.ADMIN in key.scopes else None


def open_session(connection: sa.Connection, key: str | None, entropy: bytes, now: float) -> str:
    """Open a session for an operator who has proven that they know the password, or the key of this name. Returns its
    token.
    """
    token = spelled(entropy)
    sessions.purge(connection, now - SESSION_SECONDS, now - IDLE_SECONDS)
    sessions.add(connection, digest_of(token), key, now)
    return token


def find_session(connection: sa.Connection, token: str, now: float) -> Session | None:
    """The session with this token; None if there is none, or if it is over. A clock that was set back ends it too."""
    found = sessions.find(connection, digest_of(token))
    if found is None or not _is_within(found, now):
        return None
    return Session(form_token=_form_token(token), key=found.key, is_noted=now - found.used_at < USES_APART)


def note_use(connection: sa.Connection, token: str, now: float) -> None:
    """Have the session last for the idle time from now on."""
    sessions.note_use(connection, digest_of(token), now)


def end_session(connection: sa.Connection, token: str) -> None:
    sessions.end(connection, digest_of(token))


def _is_within(session: sessions.StoredSession, now: float) -> bool:
    is_young = 0 <= now - session.opened_at <= SESSION_SECONDS
    return is_young and now - session.used_at <= IDLE_SECONDS


def _form_token(token: str) -> str:
    return hmac.digest(token.encode("utf-8", "surrogatepass"), b"form", "sha256").hex()
