"""Operators answer what was asked in vain."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.knowledge.teaching import FILE
from core.messages import Reply, Source
from tests.bots.admin.headquarters import Headquarters, open_headquarters

UNKNOWN = Reply(text="I do not know.", source=Source.REFUSAL, error="not_known")
POOL = "How deep is the <b>pool</b>?"
WORDINGS = "How deep is the pool?\nWhat is the depth of the pool?"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Headquarters]:
    """An operator who has signed in, and a question that was asked twice in vain."""
    (tmp_path / "faq.csv").write_text("questions,answer\nDo you sell umbrellas?,In blue.\n")
    async with open_headquarters(knowledge=tmp_path) as office:
        await office.sign_in()
        for _ in range(2):
            await office.ask(POOL, UNKNOWN)
        yield office


def learned(shop: Headquarters) -> str:
    assert shop.office.bot.school
    file = shop.office.bot.school.folder / FILE
    return file.read_text() if file.exists() else ""


async def test_gaps_are_listed(shop: Headquarters) -> None:
    """A question that was asked in vain is listed once, with how often; its markup is text."""
    page = await shop.read("gaps")
    assert page.count("How deep is the &lt;b&gt;pool") == 1
    assert "asked 2 ×" in page


async def test_an_answer_is_tried_before_it_is_learned(shop: Headquarters) -> None:
    """The trial says whether the draft answers what was asked, keeps its words in the form, and writes nothing."""
    poor = await shop.send("gaps/answer", number="1", wordings="Is there a lift?", answer="Yes.")
    assert "it misses 1" in poor.text
    assert "Is there a lift?" in poor.text
    assert 'value="learn"' in poor.text
    good = await shop.send("gaps/answer", number="1", wordings=WORDINGS, answer="Two metres.")
    assert "it answers all 1 wordings" in good.text
    assert learned(shop) == ""


async def test_an_answer_is_learned(shop: Headquarters) -> None:
    """It stands in the file afterwards, with each line as a wording, and the operator is led back to the list."""
    sent = await shop.send("gaps/answer", number="1", wordings=WORDINGS, answer="Two metres.", step="learn")
    assert (sent.status_code, sent.headers["location"]) == (303, "/admin/gaps")
    assert "What is the depth of the pool?" in learned(shop)
    assert "Two metres." in learned(shop)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"number": "1", "wordings": " ", "answer": "Two metres."}, 409),
        ({"number": "1", "wordings": "How deep?", "answer": "x" * 2_001}, 409),
        ({"number": "1", "wordings": "Do you sell umbrellas?", "answer": "No."}, 409),
        ({"number": "9", "wordings": "How deep?", "answer": "Two metres."}, 404),
        ({"number": "-1", "wordings": "How deep?", "answer": "Two metres."}, 422),
        ({"number": "1", "wordings": "How deep?", "answer": "Two metres.", "step": "all"}, 422),
    ],
)
async def test_what_cannot_be_learned_is_refused(shop: Headquarters, fields: dict[str, str], status: int) -> None:
    """A draft without words, too long a one, one that is answered already or of no gap is refused in words."""
    sent = await shop.send("gaps/answer", **fields)
    assert sent.status_code == status
    assert 'role="alert"' in sent.text
    assert learned(shop) == ""


async def test_without_knowledge_there_is_nothing_to_teach(operator: Headquarters) -> None:
    """The page says so, and a form is refused."""
    assert "knowledge.folder is not set" in await operator.read("gaps")
    sent = await operator.send("gaps/answer", number="1", wordings="How deep?", answer="Two metres.")
    assert sent.status_code == 404
