"""Operators read conversations, if they may."""

import re
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from bots.web.visitors import person_named
from config.settings import AdminSettings, Settings
from core.messages import Label, Mood, Reply, Source
from core.store import votes
from core.store.conversations import PAGE
from tests.bots.admin.headquarters import Headquarters, open_headquarters

ANSWER = Reply(text="It is <b>two</b> metres.", source=Source.MODEL, mood=Mood(label=Label.NEUTRAL, confidence=0.9))


@pytest.fixture
async def reader() -> AsyncIterator[Headquarters]:
    """An operator who has signed in, and may read conversations."""
    async with open_headquarters(settings=Settings(admin=AdminSettings(read_conversations=True))) as office:
        await office.sign_in()
        yield office


async def test_nothing_is_read_by_default(operator: Headquarters) -> None:
    """The list says why it is empty, and a conversation is no page."""
    turn_id = await operator.ask("canary question", ANSWER)
    page = await operator.read("conversations")
    assert "admin.read_conversations is not set" in page
    assert "ann" not in page
    assert (await operator.browser.get(f"/admin/conversations/{turn_id}")).status_code == 404


async def test_a_conversation_is_read(reader: Headquarters) -> None:
    """The list leads to it; question, answer, what made it, mood, vote and times are shown, and markup is text."""
    turn_id = await reader.ask("How deep is the <i>pool</i>?", ANSWER)
    await reader.store.run(votes.cast, turn_id, person_named("ann"), -1, 0.0)
    await reader.ask("hello", ANSWER, "bob")
    listed = await reader.read("conversations")
    assert listed.index("web · bob") < listed.index("web · ann")
    assert f'href="/admin/conversations/{turn_id}"' in listed
    page = await reader.read(f"conversations/{turn_id}")
    for words in ("How deep is the &lt;i&gt;pool", "It is &lt;b&gt;two", "Model", "neutral", "bad answer", "UTC"):
        assert words in page
    assert "hello" not in page


async def test_a_long_conversation_is_read_in_parts(reader: Headquarters) -> None:
    """The link to older messages leads to those that the first page lacks."""
    for number in range(PAGE + 1):
        last = await reader.ask(f"question {number}.", ANSWER)
    first = await reader.read(f"conversations/{last}")
    link = re.search(rf'href="/admin/(conversations/{last}\?before=\d+)"', first)
    assert link
    assert "question 0." not in first
    assert "question 0." in await reader.read(link[1])


async def test_the_list_comes_in_pages(reader: Headquarters) -> None:
    """Each conversation is on one page."""
    for number in range(PAGE + 1):
        await reader.ask("hello", ANSWER, f"p{number:03}")
    first = await reader.read("conversations")
    link = re.search(r'href="/admin/(conversations\?before=\d+)"', first)
    assert link
    assert re.findall(r"web · (p\d+)", await reader.read(link[1])) == ["p000"]


async def test_each_reading_is_logged(reader: Headquarters) -> None:
    """The line tells that somebody has read which conversation, without a word or an id."""
    turn_id = await reader.ask("canary question", ANSWER)
    with capture_logs() as lines:
        await reader.read("conversations")
        await reader.read(f"conversations/{turn_id}")
    (line,) = [line for line in lines if line["event"] == "operator"]
    assert (line["did"], line["by"]) == ("read", "password")
    assert not re.search(r"ann|canary", str(lines))


@pytest.mark.parametrize(
    ("path", "status"), [("99", 404), ("0", 404), ("-1", 422), ("x", 422), (str(2**63), 422), ("1?before=x", 422)]
)
async def test_there_is_no_conversation_of_another_number(reader: Headquarters, path: str, status: int) -> None:
    """A turn that there is not, and what is no number."""
    assert (await reader.browser.get(f"/admin/conversations/{path}")).status_code == status
