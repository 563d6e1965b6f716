"""What a press of a button asks for, and what the person who pressed is told. `core/presses.py` has the actions."""

from dataclasses import dataclass

from core.messages import ConversationKey, Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A press of a button by a person.

    `event_keys` identify the gesture as they do for a message, and `reference` is what an answer to it replies to.
    `conversation` is the place of the press, and `words` are those on the button. `turn_id` is the turn that the button
    names, or 0 for a button of the platform's own, which names the conversation.
    """

    event_keys: tuple[str, ...]
    person: Person
    conversation: ConversationKey
    turn_id: int
    reference: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a press has done.

    `notice` is for the person who pressed alone; it may be empty. `error` is the kind of refusal behind it, in snake
    case, or empty; `retry_after` are the seconds after which it may be pressed again, None if that changes nothing.
    `vote` is their vote that stands now, 1 or -1. `interrupts` are the running turns that it stops, and `is_work` says
    that a turn waits for the worker.
    """

    notice: str = ""
    error: str = ""
    retry_after: float | None = None
    vote: int = 0
    interrupts: tuple[int, ...] = ()
    is_work: bool = False
