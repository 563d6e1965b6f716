"""`parley password`: the password of operators, without which there is no /admin."""

import getpass
import sys
from typing import TextIO

from bots.folders import private_folder
from config.settings import Settings
from core.errors import PasswordRefused
from core.operators import hash_password, set_password
from core.store import open_store


def ask_password() -> str:
    """The password that a person types twice, or the first line of the input. Raises PasswordRefused."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password for /admin: ")
    if getpass.getpass("The same again: ") != password:
        raise PasswordRefused("the two are not the same")
    return password


async def change_password(settings: Settings, password: str, out: TextIO) -> None:
    """Set the password, also of a bot that is running. Raises PasswordRefused, StoreError."""
    await _store(settings, hash_password(password))
    print("The password is set. All operators must sign in again.", file=out)


async def remove_password(settings: Settings, out: TextIO) -> None:
    """Have no password, so that only keys of the scope admin open /admin. Raises StoreError."""
    await _store(settings, "")
    print("There is no password any more. All operators are signed out.", file=out)


async def _store(settings: Settings, hashed: str) -> None:
    private_folder(settings.data_dir)
    async with open_store(settings.store_url) as store:
        await store.run(set_password, hashed)
