"""Who the bot is on Slack."""

from dataclasses import dataclass

from core.messages import ConversationKey

PLATFORM = "slack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The bot's account: the ids of its workspace ("team") and of its user in it.

    `enterprise` is the organisation that the workspace belongs to, or empty.
    """

    team: str
    user: str
    enterprise: str = ""

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"

    @property
    def front(self) -> str:
        return ConversationKey(platform=PLATFORM, workspace=self.team, chat="").front
