"""A gateway without a model, of whatever version of the program is imported.

Run as a script, with the URL of a database, it does what each line of its input says, such as "accept ann 3" or
"answer 3", and says "done".
"""

import asyncio
import sys

from config.options import limits
from config.settings import Settings
from core import accepting
from core.accepting import Accepted
from core.clock import SystemClock
from core.messages import ConversationKey, Message, Person, Reply, Source
from core.side_by_side import SIDE_BY_SIDE
from core.store import Store, open_store, turns
from core.store.history import Keeping
from core.store.turns import Lease

CLOCK = SystemClock()
LIMITS = limits(Settings.model_validate({"access": {"allow": ["console:*"]}, "limits": {"max_queued": 99}}))


async def accept(store: Store, name: str, many: int) -> None:
    """Accept messages of a person."""
    sender = Person(platform="console", workspace="w", id=name)
    place = ConversationKey(platform="console", workspace="w", chat=name)
    for number in range(many):
        now = CLOCK.now()
        keys = (f"{name} {number} {now}",)
        message = Message(event_keys=keys, conversation=place, sender=sender, text=f"hello {number}", sent_at=now)
        assert isinstance(await store.run(accepting.accept, message, LIMITS, now), Accepted)


async def answer(store: Store, many: int) -> None:
    """Answer and deliver turns."""
    for _ in range(many):
        now = CLOCK.now()
        claim = await store.run(turns.claim_waiting, Lease(owner="me", now=now, until=now + 60), ("console/w",))
        assert claim
        reply = Reply(text="hi", source=Source.MODEL, tokens=2)
        await store.run(turns.finish, claim, "me", reply, now, Keeping(max_tokens=100, shared=False))
        assert await store.run(turns.mark_delivered, claim, "me")


async def main() -> None:
    async with open_store(sys.argv[1], beside=SIDE_BY_SIDE) as store:
        sys.stdout.write("done\n")
        sys.stdout.flush()
        for line in sys.stdin:
            match line.split():
                case ["accept", name, many]:
                    await accept(store, name, int(many))
                case ["answer", many]:
                    await answer(store, int(many))
            sys.stdout.write("done\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
