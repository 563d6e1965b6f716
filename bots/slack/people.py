"""Who writes on Slack, and for which workspace: members, outsiders and Slackbot."""

from bots.slack.identity import PLATFORM, Identity
from bots.slack.payloads import BlockActions, EventCallback, MessageEvent, SlashCommand
from core.messages import Person

SLACKBOT = "USLACKBOT"
"""The account of Slack itself. It posts reminders and replies of its own, and has no `bot_id`."""


def is_for_the_workspace(callback: EventCallback, identity: Identity) -> bool:
    """Whether an event is sent to the bot's workspace.

    `team_id` alone does not tell: in a channel that companies share, it may be that of the sender.
    """
    authorized = (id_ for found in callback.authorizations for id_ in (found.team_id, found.enterprise_id))
    return any(_is_ours(id_, identity) for id_ in (callback.team_id, callback.context_team_id, *authorized))


def author(event: MessageEvent, identity: Identity) -> Person:
    """The sender of a message. Which field names their team depends on the kind of event and of channel."""
    profile = event.user_profile
    team = event.user_team or event.source_team or (profile.team if profile else "") or event.team
    is_guest = profile is not None and bool(profile.is_restricted or profile.is_ultra_restricted)
    return _person(event.user, team, identity, is_guest=is_guest)


def presser(press: BlockActions, identity: Identity) -> Person:
    """Who pressed a button. Everybody who sees a message can press its buttons."""
    return _person(press.user.id, press.user.team_id or (press.team.id if press.team else ""), identity)


def commander(slash: SlashCommand, identity: Identity) -> Person:
    """Who typed a slash command."""
    return _person(slash.user_id, slash.team_id, identity)


def member(user: str, identity: Identity) -> Person:
    """A person of whom the event names no team."""
    return _person(user, "", identity)


def _person(user: str, team: str, identity: Identity, *, is_guest: bool = False) -> Person:
    """Slack names the team only if it may be another one, so that a person without is a member."""
    is_outsider = is_guest or (team != "" and not _is_ours(team, identity))
    return Person(platform=PLATFORM, workspace=identity.team, id=user, is_outsider=is_outsider)


def _is_ours(id_: str, identity: Identity) -> bool:
    return id_ != "" and id_ in {identity.team, identity.enterprise}
