"""The beginning of an answer, which its message holds at first: Telegram notifies people of it, and of no edits."""

import re

END = re.compile(r"[.!?][\"'”’)\]]*+(?=\s)|[。！？…]+[”’」』）]*|\n")
"""The end of a sentence. A point within a word ends none."""
SHORTEST, LONGEST = 20, 160
"""Characters of a beginning. "Yes." says too little; a notification shows no more than the longest."""
MORE = " …"
"""What tells a beginning from an answer, if a crash leaves it behind."""


def opening(text: str) -> str:
    """The first sentence of a text, with the next ones while it is short, and a mark that more follows."""
    end = END.search(text, SHORTEST)
    return _shortened(" ".join(text[: end.end() if end else None].split())) + MORE


def has_opening(text: str) -> bool:
    """Whether a text that is being written is long enough for its beginning to be final."""
    return END.search(text, SHORTEST) is not None or len(text) > LONGEST


def _shortened(words: str) -> str:
    """The words that fit, or the characters if the first word does not."""
    if len(words) <= LONGEST:
        return words
    return words[: LONGEST + 1].rpartition(" ")[0] or words[:LONGEST]
