"""The buttons under an answer. Their data is signed, since a client can send any data."""

import hmac
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, TypeAlias

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

Choice: TypeAlias = Literal["up", "down", "again"]
FACES: dict[Choice, str] = {"up": "👍", "down": "👎", "again": "🔁"}
DATA = re.compile(r"fb:(up|down|again):(\d{1,18}):([0-9a-f]{12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button that was pressed, and the turn whose answer it stands under."""

    choice: str
    turn_id: int


class Buttons:
    """Makes and reads buttons. The signature covers the chat, so that people can only vote in their own chats."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def under(self, turn_id: int, chat: int) -> InlineKeyboardMarkup:
        """The keyboard for an answer in a chat."""
        row = [
            InlineKeyboardButton(face, callback_data=f"fb:{choice}:{turn_id}:{self._sign(turn_id, chat)}")
            for choice, face in FACES.items()
        ]
        return InlineKeyboardMarkup([row])

    def read(self, data: str, chat: int) -> Button | None:
        """The button with this data in this chat; None if the signature is wrong."""
        found = DATA.fullmatch(data)
        if found is None or not hmac.compare_digest(found[3], self._sign(int(found[2]), chat)):
            return None
        return Button(choice=found[1], turn_id=int(found[2]))

    def _sign(self, turn_id: int, chat: int) -> str:
        return blake2b(f"{turn_id}:{chat}".encode(), key=self._key, digest_size=6).hexdigest()
