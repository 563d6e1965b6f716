"""The command registry: names, arguments and descriptions of all commands, and the one parser for them.

Front ends build their menus from it and recognise commands with it; `core/accepting.py` answers /stop, and
`core/stages/commands.py` carries out the others.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from core.faces import ShowMood
from core.i18n import say
from core.messages import ConversationKey, Locale

SLASH = "/"
NUMBERED = re.compile(r"(?:(yes|no)\s+)?#?(\d{1,18})(?:\s+(.+))?", re.IGNORECASE | re.DOTALL)
"""An argument of a number and a text: the answer to whether it is meant, the number, the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`aliases` are other names of it. `choices` are the values its argument may have, and `placeholder` names an
    argument that is free; a command without both takes no argument. The argument of one that `takes_text` is a number
    and a text of many words.

    The answer to a command that `is_personal` is for its sender alone, in a group too. If the answer is longer than a
    message, it becomes a file of the name `file`. A command that `asks_first` is carried out if "yes" is
    typed behind it, or before the number, since a text may end in any word; otherwise it asks its sender for that,
    whose yes counts for `yes_within` seconds.
    """

    name: str
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    placeholder: str = ""
    takes_text: bool = False
    is_optional: bool = False
    is_personal: bool = False
    file: str = ""
    asks_first: bool = False
    yes_within: float = math.inf

    def __str__(self) -> str:
        return f"/{self.name}"

    @property
    def usage(self) -> str:
        """How to type it: "/mood on|off", "/lang [en|zh|auto]"."""
        return self.usage_with(SLASH)

    def usage_with(self, prefix: str) -> str:
        """How to type it with the prefix of a platform: "!mood on|off"."""
        choices = "|".join(self.choices) or self.placeholder
        argument = f"[{choices}]" if self.is_optional else choices
        return f"{prefix}{self.name} {argument}".strip()

    def accepts(self, argument: str) -> bool:
        """Whether an argument is one of the choices, or may be missing. Commands without choices ignore theirs."""
        return not self.choices or argument in self.choices or (self.is_optional and not argument)

    def fits(self, argument: str) -> bool:
        """Whether the argument has no more words than the command takes. A bare "stop the noise" is no command."""
        if self.takes_text:
            return not argument or NUMBERED.fullmatch(argument) is not None
        return len(argument.split()) <= bool(self.choices) + (1 + self.asks_first) * bool(self.placeholder)

    def asks(self, argument: str) -> bool:
        """Whether the command asks its sender first, who has not answered yet."""
        if self.takes_text:
            numbered = NUMBERED.fullmatch(argument)
            return numbered is not None and not numbered[1] and numbered[3] is not None
        return self.asks_first and len(argument.split()) == bool(self.placeholder)

    def describe(self, locale: Locale) -> str:
        """What it does, in a few words for a menu."""
        return say(locale, f"description.{self.name}")


START = Command(name="start")
HELP = Command(name="help")
STOP = Command(name="stop")
RETRY = Command(name="retry")
RESET = Command(name="reset")
LANG = Command(name="lang", choices=("en", "zh", "auto"), is_optional=True, is_personal=True)
MOOD = Command(name="mood", choices=("on", "off"), is_personal=True)
STATS = Command(name="stats", is_personal=True)
EXPORT = Command(name="export", is_personal=True, file="parley-export.json")
FORGET = Command(
    name="forget", choices=("yes", "no"), is_optional=True, is_personal=True, asks_first=True, yes_within=600.0
)
HUMAN = Command(name="human", aliases=("person", "operator"))
TAKE = Command(name="take")
BACK = Command(name="back")
CLOSE = Command(name="close")
ACCESS = Command(name="access", placeholder="PERSON", is_optional=True, is_personal=True, asks_first=True)
GAPS = Command(name="gaps", is_personal=True)
TEACH = Command(
    name="teach", placeholder="NUMBER QUESTION = ANSWER", takes_text=True, is_personal=True, asks_first=True
)

COMMANDS = (HELP, STOP, RETRY, RESET, LANG, MOOD, STATS, EXPORT, FORGET)
"""The commands for everybody, in the order of menus and help texts."""
ADMIN_COMMANDS = (ACCESS, GAPS, TEACH)
"""The commands that only administrators know."""
OPERATOR_COMMANDS = (TAKE, BACK, CLOSE)
"""The commands that only operators give, in the thread of a conversation that is handed over."""
CLIENT_COMMANDS = (START,)
"""The commands that no menu lists. Telegram's clients send /start when a chat is opened, perhaps with a link's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A message that calls a command. `name` is as typed and may be unknown; `addressee` is the bot's user name in
    "/help@parley_bot", or empty.
    """

    name: str
    argument: str = ""
    addressee: str = ""

    def __str__(self) -> str:
        return f"/{self.name} {self.argument}".strip()

    @property
    def command(self) -> Command | None:
        """The command of this name, or None if there is none."""
        return _by_name().get(self.name.lower())


def parse(text: str, prefix: str = "/") -> Call | None:
    """The command call in a message: "/name", "/name argument" or "/name@bot argument". None for ordinary text."""
    pattern = rf"\s*{re.escape(prefix)}([a-z][a-z0-9_]*)(?:@(\w+))?(?:\s+(.*))?"
    found = re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL)
    if found is None:
        return None
    return Call(name=found[1], argument=(found[3] or "").strip(), addressee=found[2] or "")


def personal_command(text: str) -> Command | None:
    """The personal command that a message calls, or None."""
    call = parse(text)
    return call.command if call and call.command and call.command.is_personal else None


def is_start(text: str) -> bool:
    """Whether a message is what a client sends when a person opens the chat."""
    call = parse(text)
    return call is not None and call.command is START


def is_forget(text: str) -> bool:
    """Whether a message asks to have everything deleted that is stored about its sender, or answers whether to."""
    call = parse(text)
    return call is not None and call.command is FORGET and FORGET.accepts(call.argument.lower())


def asking_command(text: str) -> Command | None:
    """The command that a message calls and that asks its sender first, or None."""
    call = parse(text)
    return call.command if call and call.command and call.command.asks(call.argument) else None


def with_answer(text: str, word: str) -> str:
    """The command that asked first, with "yes" or "no" in its place."""
    call = parse(text)
    if call and call.command and call.command.takes_text:
        return str(replace(call, argument=f"{word} {call.argument}"))
    return f"{text} {word}"


def offered(show_mood: ShowMood, *, has_people: bool = False) -> Sequence[Command]:
    """The commands of menus and help texts: all, but /mood only if moods are shown at all, and /human only if the bot
    hands over to people.
    """
    everybodys = (HELP, HUMAN, *COMMANDS[1:]) if has_people else COMMANDS
    return tuple(command for command in everybodys if command is not MOOD or show_mood != "never")


def prefix_in(conversation: ConversationKey) -> str:
    """What people type before a command's name there. Slack keeps the slash for itself: in its threads and direct
    messages "!" takes its place, and elsewhere on Slack commands are words of the slash command of the bot.
    """
    if conversation.platform != "slack":
        return SLASH
    is_direct = conversation.chat.startswith("D")  # an id of Slack's says what it names
    return "!" if conversation.thread or is_direct else "/parley "


def has_buttons(conversation: ConversationKey) -> bool:
    """Whether answers have buttons there. A terminal has none."""
    return conversation.platform != "console"


def start_text(name: str, locale: Locale, offers: Sequence[Command] = COMMANDS, prefix: str = SLASH) -> str:
    """Who the bot is, by its persona's name, and what it can do."""
    return say(locale, "command.start", name=name) + "\n\n" + help_text(locale, offers, prefix)


def help_text(locale: Locale, offers: Sequence[Command] = COMMANDS, prefix: str = SLASH) -> str:
    """An introduction and a line for each command, as it is typed with a prefix."""
    lines = (f"{command.usage_with(prefix)} – {command.describe(locale)}" for command in offers)
    return "\n".join([say(locale, "command.help"), *lines])


@cache
def _by_name() -> Mapping[str, Command]:
    known = (*COMMANDS, HUMAN, *ADMIN_COMMANDS, *OPERATOR_COMMANDS, *CLIENT_COMMANDS)
    return {name: command for command in known for name in (command.name, *command.aliases)}
