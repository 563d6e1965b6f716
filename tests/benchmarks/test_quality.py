from dataclasses import replace

from benchmarks.engines import Engine
from benchmarks.quality import Closeness, Quality, figures, table

CLOSE = Closeness(positions=200, same_top=0.995, divergence=0.002, largest=0.1)
INT4 = Quality(
    model="mini",
    engine=Engine.INT4,
    prompts=CLOSE,
    prose=replace(CLOSE, divergence=0.004),
    perplexity=12.345,
    mood=0.89,
    replies=20,
    unchanged=18,
)
INT8 = replace(INT4, engine=Engine.INT8, mood=0.9)
Q4_K_M = replace(INT4, engine=Engine.Q4_K_M, prose=CLOSE, mood=None, replies=0, unchanged=0)


def test_one_table_has_all_kinds_of_weights() -> None:
    """A row has both texts, and is empty if llama.cpp has no such figure."""
    assert table([INT4, Q4_K_M]).splitlines()[-2:] == [
        "| mini | Parley int4 | 99.50% of 200 | 0.002 (0.1) | 99.50% of 200 | 0.004 (0.1) | 12.35 | 89.0% | 18 of 20 |",
        "| mini | llama.cpp Q4_K_M | 99.50% of 200 | 0.002 (0.1) | 99.50% of 200 | 0.002 (0.1) | 12.35 |  |  |",
    ]


def test_less_divergence_is_better() -> None:
    """int4 is compared with Q4_K_M on each text; twice its divergence is a ratio of a half."""
    prompts, prose, _ = figures([INT8, INT4, Q4_K_M])
    assert prompts.ratio
    assert prose.ratio
    assert (prompts.ratio.median, prose.ratio.median) == (1.0, 0.5)
    assert (prompts.is_reached, prose.is_reached) == (True, False)


def test_moods_may_lose_one_point() -> None:
    """int4 may read one text in a hundred less rightly than int8."""
    assert figures([INT8, replace(INT4, mood=0.891)])[-1].is_reached
    assert not figures([INT8, replace(INT4, mood=0.889)])[-1].is_reached


def test_there_is_no_ratio_without_llama_cpp() -> None:
    """Without llama.cpp the divergence has no ratio, but the moods have."""
    assert [bool(figure.ratio) for figure in figures([INT8, INT4])] == [False, False, True]
