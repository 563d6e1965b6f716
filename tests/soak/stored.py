"""The turns that a bot's store holds, as the verdict sees them."""

import asyncio

import sqlalchemy as sa

from bots.slack.handle import Handle as SlackHandle
from bots.telegram.handle import Handle as TelegramHandle
from core.commands import FORGET
from core.messages import ConversationKey
from core.store import open_store
from core.store.schema import turns
from core.store.states import DELIVERED
from tests.soak.verdict import Place, Turn

CONFIRMED = {f"/{FORGET.name} {choice}" for choice in FORGET.choices}
"""Words of the buttons below the question whether to forget."""


async def until_delivered(database: str) -> None:
    """Wait until no turn of a running bot is open."""
    is_open = sa.select(sa.func.count()).where(turns.c.state != DELIVERED)
    async with open_store(database) as store:
        while await store.read(lambda connection: connection.scalar(is_open)):
            await asyncio.sleep(1)


async def turns_of(database: str) -> list[Turn]:
    """All turns, in the order of their ids."""
    async with open_store(database) as store:
        rows = await store.read(lambda connection: connection.execute(sa.select(turns).order_by(turns.c.id)).all())
        return [_turn(row) for row in rows]


def _turn(row: sa.Row[tuple[object, ...]]) -> Turn:
    key = ConversationKey.parse(row.conversation)
    message = row.reference.partition(":")[0] or f"turn {row.id}"  # Slack's has the thread behind the message
    return Turn(
        question=(key.platform, key.chat, message),
        state=row.state,
        reply=row.reply or "",
        shown_by=_shown_by(key, row.handle),
        conversation=row.conversation,
        is_pressed=row.again != 0 or row.text in CONFIRMED,
    )


def _shown_by(key: ConversationKey, handle: str) -> tuple[Place, ...]:
    if key.platform == "telegram":
        known = TelegramHandle.parse(handle)
        return tuple((key.platform, str(known.chat), str(one)) for one in known.ids) if known else ()
    message = SlackHandle.parse(handle)
    return ((key.platform, message.channel or key.chat, message.ts),) if message.is_message else ()
