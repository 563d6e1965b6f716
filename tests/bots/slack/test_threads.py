"""Whether a line in a followed thread is for the bot, or for other people."""

from bots.slack.threads import REMEMBERED, Threads
from core.messages import ConversationKey, Person

ANN, BOB = (Person(platform="slack", workspace="T1", id=id_) for id_ in ("U1", "U2"))


def thread(ts: str = "1.000001") -> ConversationKey:
    return ConversationKey(platform="slack", workspace="T1", chat="C1", thread=ts)


def test_one_person_goes_on() -> None:
    """The lines of one person are for the bot, also if another person has addressed it."""
    threads = Threads("follow")
    threads.address(thread())
    assert all(threads.hear(thread(), BOB) for _ in range(3))


def test_two_people_talk_to_each_other() -> None:
    """Once two people have spoken, no line is for the bot until it is addressed again, in this thread only."""
    threads = Threads("follow")
    assert [threads.hear(thread(), person) for person in (ANN, BOB, BOB, ANN)] == [True, False, False, False]
    assert threads.hear(thread("2.000001"), BOB)
    threads.address(thread("2.000001"))
    assert not threads.hear(thread(), ANN)
    threads.address(thread())
    assert threads.hear(thread(), ANN)


def test_only_mentions_may_be_answered() -> None:
    """With "mention" no line without one is for the bot."""
    assert not Threads("mention").hear(thread(), ANN)


def test_old_threads_are_forgotten() -> None:
    """The memory for threads is bounded, and the latest are kept."""
    threads = Threads("follow")
    for number in range(REMEMBERED + 1):
        threads.hear(thread(f"{number}.000001"), ANN)
    assert threads.hear(thread("0.000001"), BOB)
    assert not threads.hear(thread(f"{REMEMBERED}.000001"), BOB)
