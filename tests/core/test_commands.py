import pytest

from core.commands import (
    ADMIN_COMMANDS,
    CLIENT_COMMANDS,
    COMMANDS,
    HUMAN,
    LANG,
    MOOD,
    RETRY,
    STOP,
    Call,
    help_text,
    offered,
    parse,
    prefix_in,
    start_text,
)
from core.i18n import LOCALES
from core.messages import ConversationKey, Locale
from core.stages.commands import RUN

KNOWN = (*COMMANDS, *ADMIN_COMMANDS, *CLIENT_COMMANDS)
NAMES = [command.name for command in KNOWN]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("/help", Call(name="help")),
        ("  /lang  zh ", Call(name="lang", argument="zh")),
        ("/lang\u3000zh", Call(name="lang", argument="zh")),
        ("/retry@parley_bot", Call(name="retry", addressee="parley_bot")),
        ("/nonsense one\ntwo", Call(name="nonsense", argument="one\ntwo")),
    ],
)
def test_a_slash_and_a_name_call_a_command(text: str, call: Call) -> None:
    """A call has a name, which need not be known, an argument, and perhaps an addressee."""
    assert parse(text) == call


@pytest.mark.parametrize("text", ["", "help", "/", "/ help", "/etc/passwd", "/7", "see /help", "/help!"])
def test_other_text_calls_no_command(text: str) -> None:
    """A path, a number or a command in the middle of a sentence is ordinary text."""
    assert parse(text) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefix", ["/", "!", ""])
def test_every_name_is_found_with_every_prefix(name: str, prefix: str) -> None:
    """Whichever form a platform uses and whichever case is typed, the call leads to the command."""
    call = parse(f"{prefix}{name.upper()}", prefix)
    assert call is not None
    assert call.command in KNOWN


def test_names_are_unique() -> None:
    """No name stands for two commands."""
    assert len(set(NAMES)) == len(NAMES)


def test_every_command_is_carried_out() -> None:
    """The stage runs all commands but /stop, which admission answers, and /retry, which goes on to the model."""
    assert set(RUN) | {STOP, RETRY} == set(KNOWN)


@pytest.mark.parametrize(
    ("argument", "lang", "mood"), [("", True, False), ("zh", True, False), ("on", False, True), ("fr", False, False)]
)
def test_arguments_are_choices(argument: str, lang: bool, mood: bool) -> None:  # noqa: FBT001  a table of facts
    """An argument is one of the command's choices; an optional one may be missing."""
    assert (LANG.accepts(argument), MOOD.accepts(argument)) == (lang, mood)


@pytest.mark.parametrize("locale", LOCALES)
def test_help_names_every_command_with_its_usage(locale: Locale) -> None:
    """The help text has a line for each command, in each language."""
    lines = help_text(locale).splitlines()
    assert [line.partition(" – ")[0] for line in lines[1:]] == [command.usage for command in COMMANDS]
    assert MOOD.usage == "/mood on|off"
    assert LANG.usage == "/lang [en|zh|auto]"


@pytest.mark.parametrize(
    ("conversation", "prefix"),
    [
        ("telegram/1/5/", "/"),
        ("telegram/1/-5/44", "/"),
        ("console/ann/chat/", "/"),
        ("slack/T1/C1/14.1", "!"),
        ("slack/T1/D1/14.1", "!"),
        ("slack/T1/D1/", "!"),
        ("slack/T1/C1/", "/parley "),
    ],
)
def test_commands_are_named_as_the_platform_takes_them(conversation: str, prefix: str) -> None:
    """Slack keeps the slash for itself: commands begin with "!" in threads and direct messages, else with "/parley"."""
    assert prefix_in(ConversationKey.parse(conversation)) == prefix
    lines = help_text("en", prefix=prefix).splitlines()[1:]
    assert [line.partition(" – ")[0] for line in lines] == [prefix + command.usage[1:] for command in COMMANDS]
    assert start_text("Bob", "en", prefix=prefix).endswith("\n\n" + help_text("en", prefix=prefix))


def test_mood_is_offered_if_moods_are_shown() -> None:
    """Menus and help texts have all commands, but /mood only if moods are shown at all."""
    assert tuple(offered("felt")) == tuple(offered("always")) == COMMANDS
    assert set(COMMANDS) - set(offered("never")) == {MOOD}


def test_a_person_is_offered_only_if_there_are_any() -> None:
    """The menu has /human only if conversations are handed over to people."""
    assert set(offered("felt", has_people=True)) - set(offered("felt")) == {HUMAN}


def test_a_command_may_have_other_names() -> None:
    """People who want a person call them by several names."""
    assert [call.command for name in ("human", "person", "operator") if (call := parse(f"/{name}"))] == [HUMAN] * 3


@pytest.mark.parametrize("locale", LOCALES)
def test_descriptions_fit_into_telegrams_menu(locale: Locale) -> None:
    """Telegram takes descriptions of 1 to 256 characters."""
    assert all(1 <= len(command.describe(locale)) <= 256 for command in COMMANDS)
