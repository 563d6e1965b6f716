"""Markdown table of the comparison of one message: ratios, then the values of both bots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.chatbots import Answer, total_memory
from benchmarks.machine import Memory
from benchmarks.spread import spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Measured runs with one model, in pairs, and the memory of each process of both bots after the last run.

    Parley's processes are the gateway and the model server.
    """

    model: str
    parley: Sequence[Answer]
    naive: Sequence[Answer]
    parley_memory: Sequence[Memory]
    naive_memory: Sequence[Memory]


def table(comparison: Comparison) -> str:
    """Markdown section with a row per metric and, below the table, the token counts of the runs."""
    rows = [
        _times(comparison, "time to first token, s", lambda answer: answer.first_token, 2),
        _times(comparison, "time to whole reply, s", lambda answer: answer.total, 2),
        _times(comparison, "time per token after the first, ms", lambda answer: 1000 * answer.per_token, 1),
        _memory(comparison, "peak memory (VmHWM), MiB", lambda memory: memory.peak),
        _memory(comparison, "memory (PSS) after the last reply, MiB", lambda memory: memory.share),
    ]
    head = ["| | ratio, naive / Parley | Parley | naive |", "|---|---|---|---|"]
    return "\n".join([f"### {comparison.model}", "", *head, *rows, "", _token_counts(comparison)])


def _times(comparison: Comparison, name: str, value: Callable[[Answer], float], digits: int) -> str:
    ours, theirs = [value(answer) for answer in comparison.parley], [value(answer) for answer in comparison.naive]
    ratios = spread([their / our for our, their in zip(ours, theirs, strict=True)])
    return f"| {name} | **{ratios.show(2)}** | {spread(ours).show(digits)} | {spread(theirs).show(digits)} |"


def _memory(comparison: Comparison, name: str, value: Callable[[Memory], float]) -> str:
    ours, theirs = value(total_memory(comparison.parley_memory)), value(total_memory(comparison.naive_memory))
    parts = " + ".join(f"{value(memory):.0f}" for memory in comparison.parley_memory)
    return f"| {name} | **{theirs / ours:.2f}** | {ours:.0f} ({parts}) | {theirs:.0f} |"


def _token_counts(comparison: Comparison) -> str:
    prompt = spread([answer.prompt_tokens for answer in comparison.parley])
    reply = spread([answer.reply_tokens for answer in comparison.parley])
    return f"{len(comparison.parley)} measured runs. Prompt tokens: {prompt.show(0)}; reply tokens: {reply.show(0)}."
