from benchmarks.engines import Engine
from benchmarks.figures import Figure
from benchmarks.pairs import Pair, Workload, figures, pairs
from benchmarks.rounds import Measured

SPEED = Workload(name="decode", unit="tokens/s", more_is_better=True)
MEASURED = {
    Engine.INT4: Measured(values=[30.0, 60.0]),
    Engine.Q4_0: Measured(values=[10.0, 30.0]),
    Engine.Q4_K_M: Measured(values=[15.0, 20.0]),
    Engine.Q8_0: Measured[float](unavailable="not installed"),
}
BOTH = Pair(ours=Engine.INT4, theirs=(Engine.Q4_0, Engine.Q4_K_M), target=2.0)


def compare(workload: Workload, pair: Pair) -> Figure:
    [figure] = figures(workload, [pair], MEASURED, float, {Engine.Q4_0: "1.2"})
    return figure


def test_a_figure_names_both_sides() -> None:
    """The workload ends with Parley's precision; the baseline has its version, and the pair its target."""
    [pair] = pairs(Engine.INT4, Q4_0=1.25)
    figure = compare(SPEED, pair)
    assert (figure.workload, figure.baseline, figure.target) == ("decode, int4", "llama.cpp Q4_0 1.2", 1.25)
    assert (list(figure.ours), list(figure.theirs)) == ([30.0, 60.0], [10.0, 30.0])


def test_the_better_of_two_counts_in_each_round() -> None:
    """Of two baselines the one counts that is better in that round: the faster one, or the one that takes less time."""
    assert list(compare(SPEED, BOTH).theirs) == [15.0, 30.0]
    assert list(compare(Workload(name="total", unit="s"), BOTH).theirs) == [10.0, 20.0]
    assert compare(SPEED, BOTH).baseline == "the better of llama.cpp Q4_0 1.2 and llama.cpp Q4_K_M"


def test_the_better_of_two_needs_both() -> None:
    """If one of two baselines is unavailable there is no ratio, but the reason."""
    figure = compare(SPEED, Pair(ours=Engine.INT4, theirs=(Engine.Q4_0, Engine.Q8_0)))
    assert (figure.ratio, figure.unavailable) == (None, "not installed")
