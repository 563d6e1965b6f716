"""The registry of buttons, and their data. The data is signed, since a client can send any data.

A new button is a line here with its face and its action, and a keyboard that shows it.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from core import presses
from core.i18n import say
from core.messages import Choice, Locale, Reply
from core.presses import Action

DATA = re.compile(r"fb:([a-z]{1,16})\d?:(\d{1,18}):([0-9a-f]{12})")
MARK = " ✓"
"""Behind the face of a vote that the person has given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A kind of button. `name` stands in its data, `face` is what people see, and `vote` the vote that it gives.

    A button without a face is given words.
    """

    name: str
    action: Action
    face: str = ""
    vote: int = 0


UP = Button(name="up", face="👍", action=presses.vote_up, vote=1)
DOWN = Button(name="down", face="👎", action=presses.vote_down, vote=-1)
AGAIN = Button(name="again", face="🔁", action=presses.again)
STOP = Button(name="stop", face="⏹", action=presses.stop)
YES = Button(name="yes", action=presses.yes)
NO = Button(name="no", action=presses.no)
ASK = Button(name="ask", action=presses.ask)
SUGGESTED = (
    Button(name="first", face="1", action=presses.first),
    Button(name="second", face="2", action=presses.second),
    Button(name="third", face="3", action=presses.third),
)
PERSON = Button(name=Choice.ASK, action=presses.ask_for_a_person)
TAKE = Button(name=Choice.TAKE, action=presses.take)
SEND = Button(name=Choice.SEND, action=presses.send)
BACK = Button(name=Choice.BACK, action=presses.back)
CLOSE = Button(name=Choice.CLOSE, action=presses.close)

OF_HANDOFFS = (PERSON, TAKE, SEND, BACK, CLOSE)
BUTTONS = {button.name: button for button in (UP, DOWN, AGAIN, STOP, YES, NO, ASK, *SUGGESTED, *OF_HANDOFFS)}
UNDER_ANSWER, WHILE_WRITING, UNDER_QUESTION = (UP, DOWN, AGAIN), (STOP,), (YES, NO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button that was pressed, and the turn that it names."""

    button: Button
    turn_id: int


class Buttons:
    """Makes and reads buttons.

    The signature covers the turn and the chat: in a chat, a turn is named only by the bot's own buttons there. Whether
    the person may do what the button does is for its action to check.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def under(self, turn_id: int, chat: int, *, vote: int = 0) -> InlineKeyboardMarkup:
        """The keyboard of an answer in a chat, with a mark on the `vote` that was given."""
        return self._keyboard(UNDER_ANSWER, turn_id, chat, vote)

    def while_writing(self, turn_id: int, chat: int) -> InlineKeyboardMarkup:
        """The keyboard of an answer that is being written."""
        return self._keyboard(WHILE_WRITING, turn_id, chat)

    def under_question(self, turn_id: int, chat: int, words: tuple[str, str]) -> InlineKeyboardMarkup:
        """The keyboard of a question, with the words for yes and no."""
        named = [replace(button, face=word) for button, word in zip(UNDER_QUESTION, words, strict=True)]
        return self._keyboard(named, turn_id, chat)

    def of_choices(self, turn_id: int, chat: int, reply: Reply, locale: Locale) -> InlineKeyboardMarkup:
        """The keyboard of a reply's suggestions, and below them of what can be done about a hand-off."""
        named = [replace(BUTTONS[choice], face=say(locale, f"choice.{choice}")) for choice in reply.choices]
        numbered = SUGGESTED[: len(reply.suggestions)]
        return InlineKeyboardMarkup([self._row(row, turn_id, chat) for row in (numbered, named) if row])

    def of_questions(self, turn_id: int, chat: int, words: Sequence[str]) -> InlineKeyboardMarkup:
        """A keyboard of questions below each other. Their numbers tell them apart; what is asked are the words."""
        seal = self._sign(turn_id, chat)
        data = f"fb:{ASK.name}{{}}:{turn_id}:{seal}"
        rows = [[InlineKeyboardButton(word, callback_data=data.format(number))] for number, word in enumerate(words)]
        return InlineKeyboardMarkup(rows)

    def read(self, data: str, chat: int) -> Pressed | None:
        """The button with this data in this chat; None if it is unknown, or the signature is wrong."""
        found = DATA.fullmatch(data)
        if found is None or not hmac.compare_digest(found[3], self._sign(int(found[2]), chat)):
            return None
        button = BUTTONS.get(found[1])
        return Pressed(button=button, turn_id=int(found[2])) if button else None

    def _keyboard(self, row: Sequence[Button], turn_id: int, chat: int, vote: int = 0) -> InlineKeyboardMarkup:
        return InlineKeyboardMarkup([self._row(row, turn_id, chat, vote)])

    def _row(self, row: Sequence[Button], turn_id: int, chat: int, vote: int = 0) -> Sequence[InlineKeyboardButton]:
        seal = self._sign(turn_id, chat)
        return [
            InlineKeyboardButton(
                button.face + MARK * (button.vote != 0 and button.vote == vote),
                callback_data=f"fb:{button.name}:{turn_id}:{seal}",
            )
            for button in row
        ]

    def _sign(self, turn_id: int, chat: int) -> str:
        return blake2b(f"{turn_id}:{chat}".encode(), key=self._key, digest_size=6).hexdigest()
