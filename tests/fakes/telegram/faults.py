"""Fault injection: each fault applies to the next calls of a method."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """ERROR answers with a status; CUT hangs up before anything happens, LOST after it took effect; SILENCE and MUTE
    never answer, without and with an effect; LATE takes effect after half a real second, even if the caller has left.
    """

    ERROR = "error"
    CUT = "cut"
    LOST = "lost"
    SILENCE = "silence"
    MUTE = "mute"
    LATE = "late"


@dataclass(slots=True, kw_only=True)
class Fault:
    """Applies to `times` calls of `method` ("*" for all) after `skip` calls; only in `chat` if it is set."""

    method: str
    kind: Kind = Kind.ERROR
    times: int = 1
    skip: int = 0
    chat: int = 0
    status: int = 500
    description: str = "Internal Server Error"
    retry_after: int = 0

    def meets(self, method: str, chat: int) -> bool:
        if self.times == 0 or self.method not in {"*", method} or self.chat not in {0, chat}:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True
