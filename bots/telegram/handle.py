"""How a turn is shown on Telegram, as a delivery remembers it in the store."""

import re
from dataclasses import dataclass, replace
from typing import Self

STORED = re.compile(r"(-?\d{1,19}):(\d{1,19}(?:,\d{1,19})*)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """The chat and the messages of one reply, in order. Stored as "-1001:12,13"; empty without messages."""

    chat: int
    ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.chat}:{','.join(map(str, self.ids))}" if self.ids else ""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The inverse of `str`. None for an empty handle, and for another one, which only a damaged store can hold."""
        found = STORED.fullmatch(text)
        return cls(chat=int(found[1]), ids=tuple(map(int, found[2].split(",")))) if found else None

    def without_last(self) -> Self:
        """The handle of one message less."""
        return replace(self, ids=self.ids[:-1])

    def put(self, index: int, message_id: int) -> Self:
        """The handle with another message at `index`, counted from 0."""
        return replace(self, ids=(*self.ids[:index], message_id, *self.ids[index + 1 :]))
