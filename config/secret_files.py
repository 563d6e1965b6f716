"""Secrets from files: PARLEY_TELEGRAM__TOKEN_FILE names the file that holds telegram.token.

Containers and systemd hand secrets over as files. Unlike a variable, a file is neither inherited by child processes nor
listed by `docker inspect`.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.errors import ConfigError

MAX_BYTES = 16 << 10


def file_variable(variable: str) -> str:
    """The variable that names the file with the secret of `variable`."""
    return f"{variable}_FILE"


def with_secrets(environment: Mapping[str, str | None], secrets: Iterable[str]) -> Mapping[str, str | None]:
    """The environment, where each variable of `secrets` has what its file holds, if there is a variable that names it.

    `environment` has names in small letters, as pydantic-settings has. An empty one names no file. Raises ConfigError
    for the first unusable file.
    """
    found = dict(environment)
    for variable in secrets:
        path = found.pop(file_variable(variable).lower(), None)
        if path and variable.lower() in found:
            raise ConfigError(file_variable(variable), f"{variable} is set too; remove one of the two")
        if path:
            found[variable.lower()] = _read(file_variable(variable), Path(path))
    return found


def _read(variable: str, path: Path) -> str:
    try:
        secret = _content(path).decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(variable, f"{path}: {error.strerror}") from None
    except UnicodeError:
        raise ConfigError(variable, f"{path}: is not UTF-8") from None
    except ValueError as error:
        raise ConfigError(variable, f"{path}: {error}") from None
    if not secret or not secret.isprintable():
        raise ConfigError(variable, f"{path}: should hold the secret alone, in one line")
    return secret


def _content(path: Path) -> bytes:
    """The bytes of a regular file that not everybody may change. Raises OSError or ValueError.

    The file is opened without blocking, since a named pipe without a writer would block the start for ever.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is not a file")
        if found.st_mode & stat.S_IWOTH:
            raise ValueError("everybody may change it: chmod o-w")
        if found.st_size > MAX_BYTES:
            raise ValueError("is too large for a secret")
        return file.read(MAX_BYTES)
