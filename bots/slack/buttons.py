"""The registry of buttons, and how an action of Slack's names one. Slack itself vouches for the values of buttons.

A new button is a line here with its label and its action, and a row in `bots/slack/forms.py` that shows it.
"""

import re
from dataclasses import dataclass

from core import presses
from core.messages import Choice
from core.presses import Action

VALUE = re.compile(r"(?:(-?\w+):)?(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A kind of button. `id` begins its action id, `choice` its value, and `label` is the key of its words,
    empty if the reply has them.

    `face` names a vote to the voter, and is what stands on the button of a suggestion.
    """

    id: str
    action: Action
    label: str = ""
    choice: str = ""
    face: str = ""

    def value(self, turn_id: int) -> str:
        """The value that names a turn: "1:12", or "12" for a button without a choice."""
        return f"{self.choice}:{turn_id}" if self.choice else str(turn_id)


FEEDBACK = "vote"
"""The action id of Slack's own feedback buttons. Slack marks the one that was pressed (slackapi/bolt-python#1435)."""

GOOD = Button(id=FEEDBACK, choice="1", label="slack.good", action=presses.vote_up, face="👍")
BAD = Button(id=FEEDBACK, choice="-1", label="slack.bad", action=presses.vote_down, face="👎")
AGAIN = Button(id="again", label="slack.again", action=presses.again)
YES = Button(id="yes", action=presses.yes)
NO = Button(id="no", action=presses.no)

SUGGESTED = (
    Button(id="first", face="1", action=presses.first),
    Button(id="second", face="2", action=presses.second),
    Button(id="third", face="3", action=presses.third),
)
PERSON = Button(id=Choice.ASK, action=presses.ask_for_a_person)
TAKE = Button(id=Choice.TAKE, action=presses.take)
SEND = Button(id=Choice.SEND, action=presses.send)
BACK = Button(id=Choice.BACK, action=presses.back)
CLOSE = Button(id=Choice.CLOSE, action=presses.close)
OF_HANDOFFS = {Choice(button.id): button for button in (PERSON, TAKE, SEND, BACK, CLOSE)}

BUTTONS = {
    (button.id, button.choice): button for button in (GOOD, BAD, AGAIN, YES, NO, *SUGGESTED, *OF_HANDOFFS.values())
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button that was pressed, and the turn that it names. `is_marked` says that Slack shows the press itself."""

    button: Button
    turn_id: int
    is_marked: bool


def read(action_id: str, value: str) -> Pressed | None:
    """The button of an action; None if it is unknown or names no turn. "vote:up" is an ordinary button for a vote."""
    found = VALUE.fullmatch(value)
    button = BUTTONS.get((action_id.partition(":")[0], found[1] or "")) if found else None
    return Pressed(button=button, turn_id=int(found[2]), is_marked=action_id == FEEDBACK) if found and button else None
