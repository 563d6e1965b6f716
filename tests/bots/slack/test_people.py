"""Who writes on Slack, and for which workspace."""

from dataclasses import replace
from typing import Any

import pytest

from bots.slack.identity import Identity
from bots.slack.payloads import parse
from bots.slack.translate import ButtonPressed, Heard, translate
from core.access import is_allowed
from core.messages import Person
from tests.bots.slack.test_translate import IDENTITY, NOW, event, message, press, read

OF_AN_ENTERPRISE = replace(IDENTITY, enterprise="E1")
SLASH = {
    "command": "/parley",
    "text": "hi",
    "user_id": "U1",
    "channel_id": "C1",
    "trigger_id": "t",
    "response_url": "u",
}


def sender(body: dict[str, Any], identity: Identity = IDENTITY) -> Person:
    payload = parse(body)
    assert payload is not None
    gesture = translate(payload, identity, NOW, directs="one")
    if isinstance(gesture, ButtonPressed):
        return gesture.press.person
    assert isinstance(gesture, Heard)
    return gesture.message.sender


@pytest.mark.parametrize(
    ("fields", "is_outsider"),
    [
        ({}, False),
        ({"team": "T1"}, False),
        ({"team": "T1", "user_team": "T1", "source_team": "T1"}, False),
        ({"team": "T1", "user_team": None, "source_team": None, "user_profile": None}, False),
        ({"user_team": "T1", "source_team": "T2"}, False),
        ({"user_profile": {"team": "T1", "is_restricted": False, "is_ultra_restricted": False}}, False),
        ({"team": "T1", "user_team": "T2"}, True),
        ({"user_team": "T2", "source_team": "T2"}, True),
        ({"user_team": "E9"}, True),
        ({"source_team": "T2"}, True),
        ({"team": "T2"}, True),
        ({"user_profile": {"team": "T2"}}, True),
        ({"user_profile": {"is_restricted": True, "is_ultra_restricted": False}}, True),
        ({"user_profile": {"is_restricted": True, "is_ultra_restricted": True}}, True),
    ],
)
@pytest.mark.parametrize("kind", ["message", "app_mention"])
def test_people_of_other_teams_and_guests_are_outsiders(
    kind: str,
    fields: dict[str, Any],
    is_outsider: bool,  # noqa: FBT001
) -> None:
    """The first field that names the sender's team decides; a guest is an outsider in the bot's own team too."""
    assert sender(event(type=kind, text="<@UBOT> hi", **fields)).is_outsider == is_outsider


def test_the_enterprise_of_the_workspace_is_no_other_team() -> None:
    """A mention may name the sender's enterprise as their team, which is the bot's own for its colleagues."""
    of_ours, of_others = (event(type="app_mention", user_team=team) for team in ("E1", "E2"))
    assert not sender(of_ours, OF_AN_ENTERPRISE).is_outsider
    assert sender(of_others, OF_AN_ENTERPRISE).is_outsider
    assert not sender(event(type="app_mention", team="T1"), IDENTITY).is_outsider


@pytest.mark.parametrize(("team", "is_outsider"), [("T1", False), ("T2", True), ("", False)])
def test_who_presses_and_who_commands(team: str, is_outsider: bool) -> None:  # noqa: FBT001
    """A button and a slash command name the person's team."""
    for pressed in (press("vote", "1:12"), press("again", "12")):
        assert sender(pressed | {"user": {"id": "U1", "team_id": team}}).is_outsider == is_outsider
        assert sender(pressed | {"team": {"id": team}} if team else pressed).is_outsider == is_outsider
    assert sender(SLASH | {"team_id": team}).is_outsider == is_outsider


def test_a_channel_admits_its_members() -> None:
    """An entry for a channel admits the members who write there, in threads and by slash commands too."""
    said = [event(thread_ts="1.000001"), SLASH]
    assert all(_is_admitted(body, "slack:channel:C1") for body in said)
    assert not any(_is_admitted(body, "slack:channel:C2") for body in said)
    assert not _is_admitted(event(type="app_mention", user_team="T2"), "slack:channel:C1")


def _is_admitted(body: dict[str, Any], entry: str) -> bool:
    found = message(body)
    return is_allowed(found.sender, found.conversation, {entry})


def test_slackbot_is_not_heard() -> None:
    """Slackbot's reminders and replies are not for the bot, wherever they stand."""
    for fields in ({"channel_type": "im"}, {"type": "app_mention"}, {"thread_ts": "1.000001"}):
        assert read(event(user="USLACKBOT", **fields)) is None


@pytest.mark.parametrize(
    ("outer", "is_heard"),
    [
        ({"team_id": "T1"}, True),
        ({"team_id": "T2"}, False),
        ({"team_id": "T2", "context_team_id": "T2", "authorizations": [{"team_id": "T2"}]}, False),
        ({"team_id": "T2", "authorizations": [{"team_id": "T1", "is_bot": True}]}, True),
        ({"team_id": "T2", "context_team_id": "T1"}, True),
        ({"team_id": None, "authorizations": [{"enterprise_id": None, "team_id": None}]}, False),
    ],
)
def test_an_event_of_another_team_is_ignored(outer: dict[str, Any], is_heard: bool) -> None:  # noqa: FBT001
    """An event must be sent to the bot's own workspace. In shared channels `team_id` may be the sender's."""
    for inner in (
        {"channel_type": "im"},
        {"type": "app_home_opened", "tab": "messages", "channel": "D1", "user": "U1"},
    ):
        assert (read(event(**inner) | outer) is not None) == is_heard


def test_an_event_for_the_whole_enterprise_is_heard() -> None:
    """An app that is installed for an enterprise gets events that name no team."""
    body = event(channel_type="im") | {"team_id": "T2", "authorizations": [{"enterprise_id": "E1", "team_id": None}]}
    assert sender(body, OF_AN_ENTERPRISE).id == "U1"


def test_an_outsider_is_the_same_person_as_before() -> None:
    """An outsider has the id, and the name for the allow-list, of any person."""
    found = message(event(channel_type="im", user="U9", user_team="T2")).sender
    assert (str(found), found.name, found.is_outsider) == ("slack/T1/U9", "slack:U9", True)
