"""Results of the simulation are written down."""

from dataclasses import replace
from xml.etree import ElementTree

from benchmarks.simulation.pages import chart, limits_table, table
from benchmarks.simulation.run import simulate
from benchmarks.simulation.world import Costs, People, Speed, World

WORLD = World(
    gateways=1,
    servers=1,
    people=People(number=4, pause=0.0, replies=(5,), question=0, moods=False),
    speed=Speed(step=0.1),
    costs=Costs(),
)
RESULTS = {count: simulate(replace(WORLD, servers=count), 10) for count in (1, 2)}


def test_each_result_has_a_row() -> None:
    """It says how many messages are answered and how long that takes."""
    head, _, *rows = table("servers", RESULTS).splitlines()
    assert head.startswith("| servers | messages/s | p50, s | p95, s |")
    assert [row.split(" | ")[:4] for row in rows] == [["| 1", "8.0", "0.5", "0.5"], ["| 2", "8.0", "0.5", "0.5"]]
    assert {row.count("|") for row in rows} == {head.count("|")}


def test_each_limit_has_a_column_for_each_number_of_gateways() -> None:
    """And one for the database."""
    table_lines = limits_table([1, 2], {"as it is": [RESULTS[1], RESULTS[2]]}).splitlines()
    assert table_lines[2] == "| as it is | 8 | 8 | 0% |"
    assert len({line.count("|") for line in table_lines}) == 1


def test_the_chart_is_a_picture_alone() -> None:
    """SVG with both lines and the limit, and without a script."""
    root = ElementTree.fromstring(chart("ten people", RESULTS, late=10.0))
    text = "".join(root.itertext())
    assert all(words in text for words in ("ten people", "half of the answers", "95 of 100 answers", "10 s"))
    assert not [element for element in root.iter() if element.tag.endswith("script")]
