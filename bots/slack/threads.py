"""Threads of channels that the bot follows: whether a line without a mention is for the bot, or for other people."""

from typing import Literal, TypeAlias

from cachetools import LRUCache

from core.messages import ConversationKey, Person

Following: TypeAlias = Literal["follow", "mention"]
"""Whether the bot goes on without a mention in a thread that it takes part in."""
REMEMBERED = 4_096
"""Threads whose speakers are remembered, the latest ones."""


class Threads:
    """The people who have spoken in each thread since the bot was last addressed there.

    One person is taken to go on with the bot. Two talk to each other, and the bot waits until it is addressed again.
    They are kept in memory only: after a restart the bot may answer one line that it would have left to the people.
    """

    def __init__(self, following: Following) -> None:
        self._following = following
        self._speakers: LRUCache[ConversationKey, frozenset[str]] = LRUCache(REMEMBERED)

    def address(self, thread: ConversationKey) -> None:
        """The bot was addressed in a thread."""
        self._speakers.pop(thread, None)

    def hear(self, thread: ConversationKey, speaker: Person) -> bool:
        """A person spoke in a thread without addressing the bot. Returns whether it may still be for the bot."""
        speakers = self._speakers[thread] = self._speakers.get(thread, frozenset()) | {speaker.id}
        return self._following == "follow" and len(speakers) == 1
