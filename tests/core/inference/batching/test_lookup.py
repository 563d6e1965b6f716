"""Prompt lookup decoding: which draft tokens are proposed, and when."""

from core.inference.batching.lookup import MAX_DRAFT, NGRAM, PromptLookup

IDS = [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_drafts_what_followed_the_last_occurrence() -> None:
    """After an n-gram that occurred before, the draft is the token that followed it; otherwise it is empty."""
    assert PromptLookup().draft([*IDS, 3, 4, 5], max_tokens=9) == (6,)
    assert PromptLookup().draft([*IDS, 3, 4, 6], max_tokens=9) == ()
    assert PromptLookup().draft([*IDS, 3, 4, 5, 0, 3, 4, 5], max_tokens=9) == (0,)
    assert PromptLookup().draft([1] * NGRAM, max_tokens=9) == ()
    assert PromptLookup().draft([], max_tokens=9) == ()


def test_drafts_grow_while_they_are_accepted() -> None:
    """The draft starts at one token, grows up to a limit while it is accepted, and restarts after a rejection."""
    lookup, ids, lengths = PromptLookup(), [*IDS, 1, 2, 3], []
    for accepted in (1, 1, 1, 0, 1):
        lengths.append(len(lookup.draft(ids, max_tokens=9)))
        lookup.record(lengths[-1], accepted * lengths[-1])
    assert lengths == [1, 2, MAX_DRAFT, MAX_DRAFT, 1]


def test_a_draft_is_limited_by_max_tokens() -> None:
    """A draft has at most `max_tokens` tokens, and none for zero or less."""
    lookup = PromptLookup()
    lookup.record(5, 5)
    assert [len(lookup.draft([*IDS, 1, 2, 3], limit)) for limit in (-1, 0, 1, 2)] == [0, 0, 1, 2]
