"""One message through the whole of Parley, compared with the naive bot."""

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from benchmarks.chatbots import Answer, Chatbot, WrongAnswer, naive, parley, total_memory
from benchmarks.figures import Figure
from benchmarks.questions import MEASURED, WARM_UP
from benchmarks.report import Comparison

BASELINE = "transformers, fp32, two `generate` calls"


def figures(comparison: Comparison) -> list[Figure]:
    """Figures for the main table: time of the whole reply, and peak memory."""
    ours, theirs = total_memory(comparison.parley_memory), total_memory(comparison.naive_memory)
    return [
        Figure(
            workload="one message, mood and reply, end to end",
            baseline=BASELINE,
            unit="s",
            ours=[answer.total for answer in comparison.parley],
            theirs=[answer.total for answer in comparison.naive],
            target=10,
        ),
        Figure(
            workload="one message, peak memory",
            baseline=BASELINE,
            unit="MiB resident",
            ours=[ours.peak],
            theirs=[theirs.peak],
            target=4,
            digits=0,
        ),
    ]


def compare(title: str, folder: Path, *, runs: int, tokens: int, threads: int) -> Comparison:
    """Sends each message to Parley and then to the naive bot, both with the same model."""
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


def _pairs(title: str, ours: Chatbot, theirs: Chatbot, runs: int) -> Iterator[tuple[Answer, Answer]]:
    for number, text in enumerate(chain(WARM_UP, MEASURED[:runs]), 1 - len(WARM_UP)):
        first = ours.ask(text)
        ours.say("/reset")
        second = theirs.ask(json.dumps({"text": text, "mood": first.mood, "tokens": first.reply_tokens}))
        if (first.prompt_tokens, first.reply_tokens) != (second.prompt_tokens, second.reply_tokens):
            raise WrongAnswer(f"the bots used different numbers of tokens: {first} and {second}")
        print(f"{title}, run {number}: Parley {first.total:.2f} s, naive {second.total:.2f} s", file=sys.stderr)
        if number > 0:
            yield first, second
