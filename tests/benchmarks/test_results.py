from benchmarks.figures import Figure
from benchmarks.results import Results, Section, without_folders

FIGURE = Figure(workload="reply", baseline="other", unit="s", ours=[1.0], theirs=[2.0])


def test_each_model_has_a_section() -> None:
    """A section has its title and what was measured; one without anything is not shown."""
    results = Results(
        sections=[
            Section(title="real", figures=[FIGURE]),
            Section(title="empty"),
            Section(title="mini", messages=["m"]),
        ]
    )
    shown = results.show().splitlines()
    assert [line for line in shown if line.startswith("## ")] == ["## real", "## mini"]
    assert "| reply, s | other | **2.00 (2.00–2.00)** |  | 1.00 (1.00–1.00) | 2.00 (2.00–2.00) |" in shown


def test_the_page_has_no_paths() -> None:
    """The page names a model by the last part of its folder."""
    assert without_folders(["speed", "--model", "/home/ann/models/qwen"]) == ["speed", "--model", "qwen"]
