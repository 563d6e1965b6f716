"""What the bot says in a hand-off, to the customer and to the operators: turns that have their reply already."""

import sqlalchemy as sa

from core.commands import prefix_in
from core.help_desk import HelpDesk
from core.i18n import say
from core.messages import Choice, ConversationKey, Kind, Locale, Message, Person, Reply, Source
from core.store import handoffs, turns


def tell_customer(
    connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], key: str, now: float, **values: object
) -> None:
    """Have the bot say something to the customer."""
    place = ConversationKey.parse(handoff.conversation)
    words = say(handoff.locale, f"handoff.{key}", prefix=prefix_in(place), **values)
    post_to_customer(connection, handoff, Reply(text=words, source=Source.COMMAND), now)


def tell_operators(
    connection: sa.Connection,
    handoff: sa.Row[tuple[object, ...]],
    desk: HelpDesk,
    key: str,
    now: float,
    *,
    choices: tuple[Choice, ...] = (),
    **values: object,
) -> None:
    """Have the bot say something to the operators, in the thread of the hand-off."""
    words = say(desk.locale, f"handoff.{key}", prefix=prefix_in_thread(desk), **values)
    post_to_operators(connection, handoff, desk.locale, Reply(text=words, source=Source.COMMAND, choices=choices), now)


def tell_operators_why(
    connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], notice: Reply, desk: HelpDesk, now: float
) -> None:
    """Tell the operators, in the thread of the hand-off, why something is not done."""
    post_to_operators(connection, handoff, desk.locale, Reply(text=notice.text, source=Source.COMMAND), now)


def post_to_customer(connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], reply: Reply, now: float) -> int:
    """Insert a turn that is shown to the customer below their last message; its id."""
    message = Message(
        event_keys=(),
        conversation=ConversationKey.parse(handoff.conversation),
        sender=Person.parse(handoff.person),
        text="",
        sent_at=now,
        kind=Kind(handoff.kind),
        reference=handoffs.last_reference(connection, handoff.person_id, handoff.conversation),
    )
    return turns.add(connection, handoff.person_id, message, handoff.locale, now, reply, handoff_id=handoff.id)


def post_to_operators(
    connection: sa.Connection,
    handoff: sa.Row[tuple[object, ...]],
    locale: Locale,
    reply: Reply,
    now: float,
    *,
    text: str = "",
) -> int:
    """Insert a turn that is shown in the thread of the hand-off; its id. `text` is an operator's that it is about."""
    message = Message(
        event_keys=(),
        conversation=ConversationKey.parse(handoff.conversation),
        sender=Person.parse(handoff.person),
        text=text,
        sent_at=now,
        kind=Kind(handoff.kind),
    )
    front = ConversationKey.parse(handoff.desk).front
    return turns.add(
        connection, handoff.person_id, message, locale, now, reply, handoff_id=handoff.id, desk_front=front
    )


def prefix_in_thread(desk: HelpDesk) -> str:
    """What operators type before a command's name: on Slack, threads take no slash commands."""
    return "!" if desk.place.platform == "slack" else "/"
