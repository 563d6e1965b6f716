"""Results of the simulation as Markdown tables, and as a chart."""

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from pygal import Line
from pygal.style import CleanStyle

from benchmarks.simulation.run import Result

FRACTIONS: Final = {"half of the answers": 0.5, "95 of 100 answers": 0.95}


def table(what: str, results: Mapping[int, Result]) -> str:
    """How long people wait, and what is busy, by the number of something."""
    head = f"| {what} | messages/s | p50, s | p95, s | busiest server | busiest gateway | database | prompts cached |"
    rows = [
        f"| {count} | {result.rate:.1f} | {result.whole(0.5):.1f} | {result.whole(0.95):.1f} | {result.server:.0%} | "
        f"{result.gateway:.0%} | {result.database:.0%} | {result.cached:.0%} |"
        for count, result in results.items()
    ]
    return _lines(head, rows)


def limits_table(counts: Sequence[int], limits: Mapping[str, Sequence[Result]]) -> str:
    """The messages per second at most, a row for each kind of world and a column for each number of gateways."""
    head = f"| messages/s at most | {' | '.join(f'{count} gateways' for count in counts)} | database then busy |"
    rows = [
        f"| {name} | {' | '.join(f'{result.rate:.0f}' for result in results)} | {results[-1].database:.0%} |"
        for name, results in limits.items()
    ]
    return _lines(head, rows)


def chart(title: str, results: Mapping[int, Result], *, late: float) -> str:
    """SVG of the times of answers by the number of model servers, with a line at what is `late`."""
    lines = Line(
        js=(),
        logarithmic=True,
        no_prefix=True,
        style=CleanStyle,
        title=title,
        x_title="model servers",
        y_title="seconds to the whole answer",
        width=720,
        height=400,
    )
    lines.x_labels = [str(count) for count in results]
    for name, fraction in FRACTIONS.items():
        lines.add(name, [result.whole(fraction) for result in results.values()])
    lines.add(f"{late:g} s", [late] * len(results), show_dots=False)
    lines.add_xml_filter(_without_script)
    return f"{lines.render(is_unicode=True)}\n"


def _without_script(root: Element) -> Element:
    for parent in list(root.iter()):
        for child in list(parent):
            if callable(child.tag) or child.tag == "script":  # a comment has no name
                parent.remove(child)
    return root


def _lines(head: str, rows: Sequence[str]) -> str:
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *rows, ""])
