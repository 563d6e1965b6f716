"""A listening socket that stays quiet if the process has no file descriptor left."""

import errno
import os
import socket
from contextlib import suppress

NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener(socket.socket):
    """Takes one connection in each turn of the event loop, so that none is taken before the last one is counted.

    If there is no descriptor for a connection, the spare one is used to close it. asyncio alone would log the error for
    each connection that waits, again every second, and leave them waiting.
    """

    def __init__(self, bound: socket.socket) -> None:
        """Take over a bound socket, which is closed by this."""
        super().__init__(fileno=bound.detach())
        self._spare = _spare()
        self._has_taken = False

    def accept(self) -> tuple[socket.socket, object]:
        """The next connection. Raises BlockingIOError if none waits, and after each one until the next turn."""
        if self._has_taken:
            self._has_taken = False
            raise BlockingIOError
        try:
            taken = super().accept()
        except OSError as error:
            if error.errno not in NONE_LEFT or self._spare is None:
                self._spare = _spare()
                raise
            self._turn_away(self._spare)
            raise BlockingIOError from None
        self._has_taken = True
        return taken

    def close(self) -> None:
        super().close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _turn_away(self, spare: int) -> None:
        os.close(spare)
        with suppress(OSError):  # another thread may have taken the descriptor
            super().accept()[0].close()
        self._spare = _spare()


def _spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
