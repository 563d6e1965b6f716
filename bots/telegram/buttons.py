"""The buttons under an answer, and what pressing one means. A client can send any data; only ours is sealed."""

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
class Pressed:
    """Which button, under the answer of which turn."""

    choice: str
    turn_id: int


class Buttons:
    """Makes and reads buttons. The seal keeps a person from voting on answers in chats that they are not in."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def under(self, turn_id: int, chat: int) -> InlineKeyboardMarkup:
        row = [
            InlineKeyboardButton(face, callback_data=f"fb:{choice}:{turn_id}:{self._seal(turn_id, chat)}")
            for choice, face in FACES.items()
        ]
        return InlineKeyboardMarkup([row])

    def read(self, data: str, chat: int) -> Pressed | None:
        found = DATA.fullmatch(data)
        if found is None or not hmac.compare_digest(found[3], self._seal(int(found[2]), chat)):
            return None
        return Pressed(choice=found[1], turn_id=int(found[2]))

    def _seal(self, turn_id: int, chat: int) -> str:
        return blake2b(f"{turn_id}:{chat}".encode(), key=self._key, digest_size=6).hexdigest()
