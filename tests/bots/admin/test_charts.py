"""Charts are SVG that needs nothing else, and their numbers are there in words too."""

import re
from collections import Counter
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest

from bots.admin.charts import CHARTS, render, table
from core.daily import Day, Overview, Tally, figures, joined
from core.i18n import LOCALES, say
from core.messages import Label, Locale, Source

SVG = "{http://www.w3.org/2000/svg}"
FIRST = date(2026, 10, 29)


def overview(*tallies: Tally) -> Overview:
    """Thirty days, of which the last ones are given."""
    days = [Tally()] * (30 - len(tallies)) + [*tallies]
    return Overview(
        days=tuple(Day(date=FIRST + timedelta(n), figures=figures(tally)) for n, tally in enumerate(days)),
        whole=figures(joined(days)),
    )


def tally(messages: int) -> Tally:
    """A day with something for every chart."""
    made = Tally(
        messages=messages,
        replies=Counter({Source.MODEL: messages - 2, Source.CACHE: 1, Source.REFUSAL: 1}),
        moods=Counter({Label.NEUTRAL: messages}),
        tokens=30,
        seconds=2.5,
        up=3,
        down=1,
        handoffs=1,
    )
    made.waits.extend([1.0, 2.0])
    made.first_pieces.append(0.25)
    return made


BUSY = overview(tally(1_200), Tally(), tally(7))
EMPTY = overview()


def words(svg: bytes) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("shown", [BUSY, EMPTY], ids=["busy", "empty"])
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_needs_nothing_else(name: str, shown: Overview) -> None:
    """It is well-formed, runs nothing, and loads nothing: pygal's own charts have a script and name its server."""
    svg = render(name, shown, "en")
    root = ET.fromstring(svg)
    assert {node.tag for node in root.iter()} & {f"{SVG}{tag}" for tag in ("script", "image", "use", "a")} == set()
    assert [
        key for node in root.iter() for key in node.attrib if key.endswith(("href", "src")) or key[:2] == "on"
    ] == []
    assert re.findall(rb"url\(|@import|@font-face|<\?xml-stylesheet|<!--", svg) == []
    assert {*re.findall(rb"\w+://[^\"']*", svg)} == {SVG[1:-1].encode()}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_speaks_both_languages(name: str, locale: Locale) -> None:
    """Its title and its legend are in the language that is asked for."""
    chart, svg = CHARTS[name], render(name, BUSY, locale)
    legend = [say(locale, series.name) for series in chart.series] if len(chart.series) > 1 else []
    assert set(legend) <= {*words(svg)}
    assert ET.fromstring(svg).findtext(f"{SVG}title") == say(locale, chart.title)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_without_values_says_so(name: str, locale: Locale) -> None:
    """A new bot has nine charts all the same, and one with values does not say that it has none."""
    assert say(locale, "charts.empty") in words(render(name, EMPTY, locale))
    assert say(locale, "charts.empty") not in words(render(name, BUSY, locale))


def test_few_dates_stand_below_a_chart() -> None:
    """Each week one does, so that they can be read on a phone; the last one is today."""
    found = [text for text in words(render("messages", BUSY, "en")) if "-" in text]
    assert found == ["10-30", "11-06", "11-13", "11-20", "11-27"]


def test_the_same_figures_give_the_same_picture() -> None:
    """Nothing in it is random or of today, so that browsers can keep it."""
    assert render("moods", BUSY, "en") == render("moods", BUSY, "en")


def test_both_schemes_are_in_the_picture() -> None:
    """An image of a page follows the reader's scheme by its own style."""
    assert b"@media (prefers-color-scheme:dark)" in render("messages", BUSY, "en")


@pytest.mark.parametrize("name", CHARTS)
def test_the_numbers_of_a_chart_are_there_in_words(name: str) -> None:
    """A table has a row for each day, with a value for each series."""
    found = table(name, BUSY, "en")
    assert [row[0] for row in found.rows] == [day.date.isoformat() for day in BUSY.days]
    assert {len(row) for row in found.rows} == {len(found.header)} == {1 + len(CHARTS[name].series)}


def test_numbers_are_written_in_their_unit() -> None:
    """Seconds have tenths, shares percent, counts commas, and what there is not is no 0."""
    rows = {name: table(name, BUSY, "en").rows[-3:-1] for name in ("messages", "waits", "cache")}
    assert rows["messages"] == (("2026-11-25", "1,200"), ("2026-11-26", "0"))
    assert rows["waits"] == (("2026-11-25", "1.5", "2.0"), ("2026-11-26", "–", "–"))
    assert rows["cache"] == (("2026-11-25", "0.1%"), ("2026-11-26", "–"))


def test_an_axis_is_written_in_the_unit_of_its_chart() -> None:
    """Shares below a percent have a fraction, since "0%" twice would say nothing; counts have commas."""
    few = Tally(messages=1_000, replies=Counter({Source.MODEL: 991, Source.CACHE: 9}))
    assert {"0%", "0.25%", "0.5%", "0.75%", "1%"} <= {*words(render("cache", overview(few), "en"))}
    assert "1,000" in words(render("messages", overview(few), "en"))


def test_unknown_charts_are_refused() -> None:
    """The name comes from an address."""
    with pytest.raises(KeyError):
        render("../secrets", BUSY, "en")
