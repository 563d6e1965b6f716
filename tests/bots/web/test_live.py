"""Those who look on are told what happens, and cost nothing once they are gone."""

import gc

from bots.web.live import BEHIND, Begun, Live, Replied, Written
from bots.web.visitors import conversation_of, person_named
from core.delivery import Claim
from core.messages import Message, Reply, Source

ADA = person_named("ada")
REPLY = Reply(text="ok", source=Source.MODEL)


def claim_of(name: str, turn_id: int = 1) -> Claim:
    person = person_named(name)
    message = Message(event_keys=(), conversation=conversation_of(person), sender=person, text="hi", sent_at=0.0)
    return Claim(id=turn_id, attempt=1, message=message, locale="en")


async def test_a_listener_hears_its_conversation_only() -> None:
    """Begun, written, replied: of one's own turns, in order."""
    live = Live()
    listener = live.listen(conversation_of(ADA))
    for claim in (claim_of("ada"), claim_of("bob", 2)):
        await live.begin(claim)
        await live.preview(claim, "o")
        await live.preview(claim, "k")
        await live.finish(claim, REPLY)
    heard = [await listener.next() for _ in range(4)]
    assert [type(event) for event in heard] == [Begun, Written, Written, Replied]
    assert [event.at for event in heard if isinstance(event, Written)] == [0, 1]


async def test_what_is_written_so_far_is_known() -> None:
    """Until the turn is done, or taken over by another gateway."""
    live, claim = Live(), claim_of("ada")
    await live.begin(claim)
    await live.preview(claim, "half")
    assert live.written(1) == "half"
    await live.drop(claim)
    assert live.written(1) == ""


async def test_a_slow_listener_ends() -> None:
    """It keeps no more than it is allowed, and is told that there is a gap."""
    live, claim = Live(), claim_of("ada")
    listener = live.listen(conversation_of(ADA))
    for _ in range(BEHIND + 10):
        await live.preview(claim, "x")
    heard = [await listener.next() for _ in range(BEHIND + 1)]
    assert heard[-1] is None
    assert None not in heard[:-1]


async def test_a_listener_that_is_gone_is_forgotten() -> None:
    """Nobody has to leave: what nobody holds is dropped."""
    live = Live()
    for number in range(10):
        live.listen(conversation_of(person_named(f"p{number}")))
    gc.collect()
    live.listen(conversation_of(ADA))
    assert len(live._listeners) <= 1
