"""What is guessed, and when."""

from core.inference.batching.lookup import GRAM, MOST, Lookup

SAID = [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_guesses_what_followed_the_last_time() -> None:
    """After three tokens that stood there before, the one that came then; after others, nothing."""
    assert Lookup().guess([*SAID, 3, 4, 5], room=9) == (6,)
    assert Lookup().guess([*SAID, 3, 4, 6], room=9) == ()
    assert Lookup().guess([*SAID, 3, 4, 5, 0, 3, 4, 5], room=9) == (0,)
    assert Lookup().guess([1] * GRAM, room=9) == ()
    assert Lookup().guess([], room=9) == ()


def test_dares_more_the_more_was_right() -> None:
    """One token at first, more after right guesses up to a limit, and one again after a wrong one."""
    lookup, ids, lengths = Lookup(), [*SAID, 1, 2, 3], []
    for right in (1, 1, 1, 0, 1):
        lengths.append(len(lookup.guess(ids, room=9)))
        lookup.learn(lengths[-1], right * lengths[-1])
    assert lengths == [1, 2, MOST, MOST, 1]


def test_guesses_no_more_than_there_is_room_for() -> None:
    """No room, no guess."""
    lookup = Lookup()
    lookup.learn(5, 5)
    assert [len(lookup.guess([*SAID, 1, 2, 3], room)) for room in (-1, 0, 1, 2)] == [0, 0, 1, 2]
