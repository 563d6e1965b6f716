"""What is guessed, and when."""

from core.inference.batching.lookup import MAX_DRAFT, NGRAM, PromptLookup

SAID = [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_guesses_what_followed_the_last_time() -> None:
    """After three tokens that stood there before, the one that came then; after others, nothing."""
    assert PromptLookup().draft([*SAID, 3, 4, 5], max_tokens=9) == (6,)
    assert PromptLookup().draft([*SAID, 3, 4, 6], max_tokens=9) == ()
    assert PromptLookup().draft([*SAID, 3, 4, 5, 0, 3, 4, 5], max_tokens=9) == (0,)
    assert PromptLookup().draft([1] * NGRAM, max_tokens=9) == ()
    assert PromptLookup().draft([], max_tokens=9) == ()


def test_dares_more_the_more_was_right() -> None:
    """One token at first, more after right guesses up to a limit, and one again after a wrong one."""
    lookup, ids, lengths = PromptLookup(), [*SAID, 1, 2, 3], []
    for right in (1, 1, 1, 0, 1):
        lengths.append(len(lookup.draft(ids, max_tokens=9)))
        lookup.record(lengths[-1], right * lengths[-1])
    assert lengths == [1, 2, MAX_DRAFT, MAX_DRAFT, 1]


def test_guesses_no_more_than_there_is_room_for() -> None:
    """No room, no guess."""
    lookup = PromptLookup()
    lookup.record(5, 5)
    assert [len(lookup.draft([*SAID, 1, 2, 3], room)) for room in (-1, 0, 1, 2)] == [0, 0, 1, 2]
