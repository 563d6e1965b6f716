"""The registry of buttons on the web: what a page names, and what it does.

A new button is a line here, and a place in `views.py` that shows it.
"""

from core import presses
from core.messages import Choice
from core.presses import Action

SUGGESTED = ("first", "second", "third")

BUTTONS: dict[str, Action] = {
    "up": presses.vote_up,
    "down": presses.vote_down,
    "again": presses.again,
    "stop": presses.stop,
    "yes": presses.yes,
    "no": presses.no,
    **dict(zip(SUGGESTED, (presses.first, presses.second, presses.third), strict=True)),
    Choice.ASK: presses.ask_for_a_person,
}
