"""Who and where, in Slack's terms."""

from dataclasses import dataclass

from core.messages import ConversationKey

PLATFORM = "slack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """What the token stands for: a bot user in a workspace."""

    team: str
    user: str

    @property
    def front(self) -> str:
        return ConversationKey(platform=PLATFORM, workspace=self.team, chat="").front


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A thread: its channel, and the ts of the message it hangs on."""

    channel: str
    thread: str
