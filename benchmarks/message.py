"""One message through the whole of Parley, beside the naive way."""

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.questions import COUNTED, WARM_UP
from benchmarks.report import Comparison
from benchmarks.sides import Answer, Bot, WrongAnswer, naive, parley, total_memory

AGAINST = "transformers, fp32, two `generate`"


def figures(compared: Comparison) -> list[Figure]:
    """What counts most of a comparison: the whole reply, and the most memory."""
    ours, theirs = total_memory(compared.parley_memory), total_memory(compared.naive_memory)
    return [
        Figure(
            work="one message, mood and reply, whole bot",
            against=AGAINST,
            unit="s",
            ours=[answer.total for answer in compared.parley],
            theirs=[answer.total for answer in compared.naive],
            aim=8,
        ),
        Figure(
            work="the same, peak memory",
            against=AGAINST,
            unit="MiB resident",
            ours=[ours.peak],
            theirs=[theirs.peak],
            aim=4,
            digits=0,
        ),
    ]


def compare(title: str, folder: Path, *, runs: int, tokens: int, threads: int) -> Comparison:
    """Both bots with one model, a message to the one and then to the other."""
    with (
        parley(str(folder), threads=threads, tokens=tokens) as ours,
        naive(str(folder), threads=threads) as theirs,
    ):
        pairs = list(_pairs(title, ours, theirs, runs))
        return Comparison(
            model=title,
            parley=[pair[0] for pair in pairs],
            naive=[pair[1] for pair in pairs],
            parley_memory=ours.memory(),
            naive_memory=theirs.memory(),
        )


def _pairs(title: str, ours: Bot, theirs: Bot, runs: int) -> Iterator[tuple[Answer, Answer]]:
    for number, text in enumerate(chain(WARM_UP, COUNTED[:runs]), 1 - len(WARM_UP)):
        first = ours.ask(text)
        ours.say("/reset")
        second = theirs.ask(json.dumps({"text": text, "mood": first.mood, "tokens": first.reply_tokens}))
        if (first.prompt_tokens, first.reply_tokens) != (second.prompt_tokens, second.reply_tokens):
            raise WrongAnswer(f"the bots did not do the same: {first} and {second}")
        print(f"{title}, run {number}: Parley {first.total:.2f} s, naive {second.total:.2f} s", file=sys.stderr)
        if number > 0:
            yield first, second
