"""The manifests ask for exactly the permissions that the code uses."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import bots.slack
from core.commands import COMMANDS

FOLDER = Path(bots.slack.__file__).parent
HISTORY = {"channels:history", "groups:history", "im:history", "mpim:history"}
SCOPES: Mapping[str, set[str]] = {
    "auth.test": set(),
    "apps.connections.open": set(),  # the app-level token's connections:write
    "chat.postMessage": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.update": {"chat:write"},
    "chat.delete": {"chat:write"},
    "chat.startStream": {"chat:write"},
    "chat.appendStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "files.getUploadURLExternal": {"files:write"},
    "files.completeUploadExternal": {"files:write"},
    "conversations.replies": HISTORY,  # one for each kind of channel
    "agents.sessions.setStatus": {"chat:write"},
    "assistant.threads.setSuggestedPrompts": {"assistant:write"},
}
OPTIONAL = {"users.info": {"users:read"}}
"""Methods that the bot works without, whose scopes an operator may add."""
EVENTS = {
    "agent_session_stopped": "assistant:write",
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
}


def manifest(name: str) -> Any:  # noqa: ANN401  YAML
    return yaml.safe_load((FOLDER / name).read_text())


def methods() -> set[str]:
    """The Web API methods that the code calls, all of them in one file."""
    names = re.findall(r"self\.client\.([a-z]+_\w+)", (FOLDER / "api.py").read_text())
    return {name.replace("_", ".") for name in names} - {"base.url"}


def test_every_method_is_known() -> None:
    """Every Web API method in use is listed in this file with its scopes."""
    assert methods() == {*SCOPES, *OPTIONAL}


def test_scopes_are_those_that_are_used() -> None:
    """The full manifest asks for the scopes of all calls and events, and for commands."""
    needed = set().union(*SCOPES.values(), EVENTS.values(), {"commands"})
    assert set(manifest("manifest.yaml")["oauth_config"]["scopes"]["bot"]) == needed


def test_minimal_reads_no_channels() -> None:
    """The minimal manifest has all scopes except those to read channels."""
    full, minimal = manifest("manifest.yaml"), manifest("manifest.minimal.yaml")
    scopes = set(minimal["oauth_config"]["scopes"]["bot"])
    assert scopes == set(full["oauth_config"]["scopes"]["bot"]) - (HISTORY - {"im:history"})
    assert scopes >= set().union(*(needed for needed in SCOPES.values() if needed != HISTORY))


@pytest.mark.parametrize("name", ["manifest.yaml", "manifest.minimal.yaml"])
def test_events_have_their_scopes(name: str) -> None:
    """Each event has its scope, without which Slack refuses the manifest, and people can write to the app."""
    app = manifest(name)
    events, scopes = app["settings"]["event_subscriptions"]["bot_events"], app["oauth_config"]["scopes"]["bot"]
    assert {EVENTS[event] for event in events if event in EVENTS} <= set(scopes)
    assert app["settings"]["socket_mode_enabled"]
    assert app["settings"]["interactivity"]["is_enabled"]
    assert app["features"]["app_home"]["messages_tab_enabled"]
    assert not app["features"]["app_home"]["messages_tab_read_only_enabled"]
    assert "agent_view" in app["features"]


@pytest.mark.parametrize("name", ["manifest.yaml", "manifest.minimal.yaml"])
def test_slash_command_offers_every_command(name: str) -> None:
    """The description names the commands of the registry in its order; the hint shows how each is typed."""
    (slash,) = manifest(name)["features"]["slash_commands"]
    listed = slash["description"].rpartition(": ")[2].split(", ")
    assert listed == [command.name for command in COMMANDS]
    assert slash["usage_hint"] == " | ".join(command.usage.removeprefix("/") for command in COMMANDS)
