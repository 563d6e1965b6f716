"""`parley report` prints what became of people's questions."""

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.cli import app
from bots.report import COLUMNS, DAY, report, report_as_csv, seconds_of
from config.settings import Settings
from core.errors import ConfigError
from core.messages import ConversationKey, Message, Person, Reply, Source
from core.store import open_store, people, turns, votes
from core.store.history import Keeping
from core.store.turns import Lease

NOON = 20_000.5 * DAY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


async def ask(settings: Settings, *, at: float, source: Source, vote: int = 0) -> None:
    """A question that is answered after 90 seconds."""
    message = Message(
        event_keys=(),
        conversation=ConversationKey(platform="test", workspace="w", chat="ann"),
        sender=Person(platform="test", workspace="w", id="ann"),
        text="When do you open?",
        sent_at=at,
    )
    async with open_store(settings.store_url) as store:
        person = await store.run(people.find_or_add, message.sender)
        turn_id = await store.run(turns.add, person.id, message, "en", at)
        claim = await store.run(turns.claim_waiting, Lease(owner="me", now=at, until=at + 9), ["test/w"])
        assert claim is not None
        reply = Reply(text="At nine.", source=source)
        await store.run(turns.finish, claim, "me", reply, at + 90, Keeping(max_tokens=99, shared=False))
        await store.run(turns.mark_delivered, claim, "me")
        if vote:
            await store.run(votes.cast, turn_id, message.sender, vote, at)


async def test_a_report_has_the_figures_of_the_span(settings: Settings) -> None:
    """Cases, answers by source with their thumbs, gaps and waits, from the span before now."""
    await ask(settings, at=NOON - 8 * DAY, source=Source.MODEL)
    await ask(settings, at=NOON - 2 * DAY, source=Source.KNOWLEDGE, vote=1)
    await ask(settings, at=NOON - 1.9 * DAY, source=Source.MODEL, vote=-1)
    out = io.StringIO()
    await report(settings, 7 * DAY, NOON, out)
    assert [line.split("  ")[0] if line[0] != " " else line.split() for line in out.getvalue().splitlines()] == [
        "2024-09-27 12:00 to 2024-10-04 12:00 UTC",
        "cases",
        ["resolved", "without", "a", "person", "0", "0%"],
        ["handed", "over", "0", "0%"],
        ["reopened", "within", "7", "days", "1", "100%"],
        "questions",
        ["answered", "word", "for", "word", "1", "1", "up,", "0", "down"],
        ["answered", "from", "the", "cache", "0", "0", "up,", "0", "down"],
        ["answered", "by", "the", "model", "1", "0", "up,", "1", "down"],
        ["not", "answered", "0"],
        ["without", "a", "good", "answer", "1", "see", "parley", "knowledge", "gaps"],
        "time to the first answer",
        "time until a person took over",
    ]
    assert "90.0 s in the median, 90.0 s at the 90th percentile" in out.getvalue()


async def test_a_table_has_a_row_for_each_day(settings: Settings) -> None:
    """Days begin at midnight in UTC. Days without a question have their row, and empty waits."""
    for at in (20_000 * DAY - 1, 20_000 * DAY):
        await ask(settings, at=at, source=Source.MODEL)
    out = io.StringIO()
    await report_as_csv(settings, 2 * DAY, NOON, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["day"], row["cases"], row["model"], row["first_answer_median"]) for row in rows] == [
        ("2024-10-02", "0", "0", ""),
        ("2024-10-03", "1", "1", "90.0"),
        ("2024-10-04", "0", "1", ""),
    ]


async def test_a_report_needs_a_store(settings: Settings) -> None:
    """Where the bot has never run there is nothing to report, and no database is made."""
    with pytest.raises(ConfigError, match="store"):
        await report(settings, DAY, NOON, io.StringIO())
    assert not settings.store_path.exists()


@pytest.mark.parametrize(("span", "seconds"), [("36h", 129_600), ("7d", 604_800), (" 4w", 2_419_200)])
def test_a_span_is_a_number_with_a_unit(span: str, seconds: float) -> None:
    """Hours, days and weeks."""
    assert seconds_of(span) == seconds


@pytest.mark.parametrize("span", ["7", "d", "0d", "-7d", "7m", "1.5d", "99999d", ""])
def test_another_span_is_refused(span: str) -> None:
    """The command says what a span looks like, and ends as for any wrong argument."""
    done = CliRunner().invoke(app, ["report", "--since", span])
    assert done.exit_code == 2
    assert "36h, 7d or 4w" in " ".join(done.output.replace("│", " ").split())
