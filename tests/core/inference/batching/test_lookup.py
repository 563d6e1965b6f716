"""Prompt lookup decoding: which draft tokens are proposed, and when."""

from collections.abc import Sequence

import pytest

from core.inference.batching.lookup import PromptLookup

TEXT = [1, 2, 3, 4, 5, 6, 7, 8, 9]


def draft(ids: Sequence[int], *, max_tokens: int = 7, rows: int = 1) -> tuple[int, ...]:
    return PromptLookup().draft(ids, max_tokens, rows)


def test_drafts_what_followed_an_earlier_occurrence() -> None:
    """After tokens that occurred before, the draft is what followed them; otherwise it is empty."""
    assert draft([*TEXT, 3, 4, 5], max_tokens=2) == (6, 7)
    assert draft(TEXT) == ()
    assert draft([]) == ()


def test_the_longest_match_counts() -> None:
    """What followed most of the last tokens is drafted, of equal matches what followed the latest."""
    assert draft([1, 2, 3, 4, 7, 3, 8, 1, 2, 3], max_tokens=1) == (4,)
    assert draft([1, 2, 3, 4, 1, 2, 3, 8, 1, 2, 3], max_tokens=1) == (8,)


@pytest.mark.parametrize(("rows", "lengths"), [(1, (1, 2, 7)), (3, (0, 1, 6)), (16, (0, 0, 0))])
def test_a_draft_is_as_long_as_it_pays(rows: int, lengths: tuple[int, ...]) -> None:
    """The more tokens match, the longer is the draft, and the more sequences wait for it, the shorter."""
    endings = ([30, 3], [30, 2, 3], [1, 2, 3])
    assert tuple(len(draft([*TEXT, *ending], rows=rows)) for ending in endings) == lengths


def test_drafts_end_if_they_are_wrong_and_begin_again() -> None:
    """A token that something else follows each time is not drafted after; once the same follows, it is again."""
    lookup, ids, drafted = PromptLookup(), [], []
    for other in [*range(10, 25), *[25] * 5]:
        ids.append(1)
        drafted.append(bool(lookup.draft(ids, 7, 1)))
        ids.append(other)
        lookup.draft(ids, 7, 1)
    assert drafted[1:3] == [True, True]
    assert not any(drafted[10:15])
    assert drafted[-1]


def test_a_long_repetition_is_drafted_to_the_limit() -> None:
    """Thousands of tokens that are all foreseen leave a draft as long as it may be."""
    lookup, ids = PromptLookup(), list(range(50))
    for token in list(range(50)) * 40:
        ids.append(token)
        drafted = lookup.draft(ids, 7, 1)
    assert drafted == tuple(range(7))
    assert lookup.draft(ids, 0, 1) == ()
    assert lookup.draft(ids, -1, 1) == ()


def test_accepted_tokens_count_like_others() -> None:
    """A lookup that sees several tokens at once foresees the same as one that sees each."""
    ids = [*TEXT, 3, 4, 5, 6, 7, 2, 4, 5, 6, 1, 2, 3]
    at_once, one_by_one = PromptLookup(), PromptLookup()
    at_once.draft(ids[:12], 7, 1)
    for end in range(12, 14):
        one_by_one.draft(ids[:end], 7, 1)
    assert at_once.draft(ids[:14], 7, 1) == one_by_one.draft(ids[:14], 7, 1) == (8, 9, 3, 4, 5, 6, 7)
