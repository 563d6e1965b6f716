"""Operators see who writes to the bot, decide who may, and have people forgotten."""

import re

import pytest
from structlog.testing import capture_logs

from bots.web.visitors import conversation_of, person_named
from config.settings import AccessSettings, AdminSettings, Settings
from core.accepting import Accepted, Refused
from core.messages import Message, Person, Reply, Source, Turn
from core.scopes import scope
from core.stages.cache import SharedKey
from core.store import admissions, people, turns
from core.store.directory import PAGE
from tests.bots.admin.headquarters import Headquarters, open_headquarters

ANN = person_named("ann")
ANSWER = Reply(text="canary answer", source=Source.MODEL)
KEY = SharedKey(question=b"", language="en", revision="")


async def wrote(office: Headquarters, who: Person) -> type[object]:
    """What becomes of a message of a person."""
    event = f"{who} {office.clock.now()}"
    place = conversation_of(who)
    message = Message(event_keys=(event,), conversation=place, sender=who, text="hello", sent_at=office.clock.now())
    office.clock.advance(1)
    return type(await office.office.bot.admission.accept(message))


async def deliver(office: Headquarters) -> None:
    """Deliver what has its reply."""
    lease = turns.Lease(owner="me", now=office.clock.now(), until=office.clock.now() + 9)
    while claim := await office.store.run(turns.claim_answered, lease, [conversation_of(ANN).front]):
        await office.store.run(turns.mark_delivered, claim, "me")


async def test_people_are_listed_without_words(operator: Headquarters) -> None:
    """Name, number of messages and time, the latest first; nothing that was said, and no way to read it."""
    for who in ("ann", "b<b>b", "ann"):
        await operator.ask("canary question", ANSWER, who)
    operator.clock.jump(180)
    page = await operator.read("people")
    assert page.index("web:ann") < page.index("web:b&lt;b&gt;b")
    assert "messages: 2" in page
    assert "3 minutes ago" in page
    assert "canary" not in page
    assert "/admin/conversations/" not in page


async def test_people_are_found_by_name(operator: Headquarters) -> None:
    """A part of the name finds some; the search keeps its words."""
    for who in ("ann", "bob"):
        await operator.ask("hello", ANSWER, who)
    page = await operator.read("people?part=web:b")
    assert "<code>web:bob</code>" in page
    assert "<code>web:ann</code>" not in page
    assert 'value="web:b"' in page
    assert "Nobody was found." in await operator.read("people?part=xyzzy")
    sent = await operator.send("people/decide", person="web/site/bob", decision="in", part="web:b")
    assert sent.headers["location"] == "/admin/people?part=web%3Ab"


async def test_people_come_in_pages(operator: Headquarters) -> None:
    """The link to the next page leads to those who are not on the first."""
    for number in range(PAGE + 1):
        await operator.store.run(people.find_or_add, person_named(f"p{number:03}"))
    first = await operator.read("people?part=p")
    link = re.search(r'href="/admin/(people\?[^"]+)"', first)
    assert link
    second = await operator.read(link[1].replace("&amp;", "&"))
    assert re.findall(r"<code>web:(p\d+)</code>", second) == ["p000"]
    assert len(re.findall(r"<code>web:(p\d+)</code>", first)) == PAGE


async def test_an_operator_decides_who_may_write(operator: Headquarters) -> None:
    """A person who is shut out is refused on the open page too, until that is withdrawn; the list says so."""
    await operator.ask("hello", ANSWER)
    shown = {"out": ["out"], "open": [], "in": ["in"]}
    for decision, outcome in [("out", Refused), ("open", Accepted), ("in", Accepted)]:
        sent = await operator.send("people/decide", person=str(ANN), decision=decision)
        assert (sent.status_code, sent.headers["location"]) == (303, "/admin/people")
        assert await wrote(operator, ANN) is outcome
        page = await operator.read("people")
        assert [word for word in ("in", "out") if re.search(rf"Was (let|shut) {word}\.", page)] == shown[decision]


async def test_a_person_whom_the_settings_name_is_marked() -> None:
    """To shut them out has no effect, which the page says."""
    chief = Person(platform="telegram", workspace="7001", id="5")
    async with open_headquarters(settings=Settings(access=AccessSettings(admins=(chief.name,)))) as office:
        await office.sign_in()
        await office.store.run(people.find_or_add, chief)
        await office.send("people/decide", person=str(chief), decision="out")
        assert "which has no effect" in await office.read("people")


async def test_forgetting_is_asked_for_first(operator: Headquarters) -> None:
    """The first press of the button deletes nothing, and names the person."""
    await operator.ask("hello", ANSWER)
    asked = await operator.send("people/forget", person=str(ANN))
    assert "everything that is kept about web:ann" in asked.text
    assert 'value="yes"' in asked.text
    assert "web:ann" in await operator.read("people")


async def test_an_operator_has_a_person_forgotten(operator: Headquarters) -> None:
    """Store, answer cache and model server have nothing of them any more; what was decided stays."""
    turn_id = await operator.ask("canary question", ANSWER)
    await deliver(operator)
    bot = operator.office.bot
    place = conversation_of(ANN)
    message = Message(event_keys=(), conversation=place, sender=ANN, text="canary", sent_at=1.0)
    bot.answers.put(KEY, ANSWER, Turn(id=turn_id, message=message, sink=_nowhere))
    await operator.store.run(admissions.decide, ANN, False)  # noqa: FBT003
    done = await operator.send("people/forget", person=str(ANN), step="yes")
    assert "Everything that was kept about web:ann is deleted." in done.text
    assert "model server" not in done.text
    assert await bot.answers.get(KEY, operator.store) is None
    assert scope(str(place), str(ANN)) in operator.engine.forgotten
    assert "web:ann" not in await operator.read("people")
    assert await operator.store.read(admissions.decision, ANN) is False


async def test_what_is_not_forgotten_yet_is_said(operator: Headquarters) -> None:
    """A model server that is away is named."""
    await operator.ask("hello", ANSWER)
    await deliver(operator)
    operator.engine.available = False
    done = await operator.send("people/forget", person=str(ANN), step="yes")
    assert "does not answer just now" in done.text


@pytest.mark.parametrize("form", ["decide", "forget"])
async def test_a_form_about_somebody_who_is_gone_changes_nothing(operator: Headquarters, form: str) -> None:
    """It may stand in a page that is old: no row is made again for the person."""
    sent = await operator.send(f"people/{form}", person=str(ANN), decision="in", step="yes")
    assert sent.status_code == 404
    assert "Nothing is kept about this person" in sent.text
    assert "Nobody was found." in await operator.read("people")


@pytest.mark.parametrize(
    "fields",
    [
        {"person": "web/site", "decision": "in"},
        {"person": "", "decision": "in"},
        {"person": "web/site/ann"},
        {"person": "web/site/ann", "decision": "maybe"},
    ],
)
async def test_a_malformed_decision_is_refused(operator: Headquarters, fields: dict[str, str]) -> None:
    """No person, no decision, or one that there is not."""
    assert (await operator.send("people/decide", **fields)).status_code == 422


@pytest.mark.parametrize("query", ["turn=-1", "person=x", f"turn={2**63}&person=1", f"part={'x' * 201}"])
async def test_a_malformed_mark_is_refused(operator: Headquarters, query: str) -> None:
    """A page that no link names is no page."""
    assert (await operator.browser.get(f"/admin/people?{query}")).status_code == 422


async def test_what_operators_do_is_logged_without_names(operator: Headquarters) -> None:
    """Each deed has a line that tells people apart, and nobody who."""
    await operator.ask("canary question", ANSWER)
    await operator.ask("canary question", ANSWER, "bob")
    with capture_logs() as lines:
        for who, decision in ((ANN, "out"), (ANN, "in"), (person_named("bob"), "in")):
            await operator.send("people/decide", person=str(who), decision=decision)
        await operator.send("people/forget", person=str(ANN))
        await operator.send("people/forget", person=str(ANN), step="yes")
    deeds = [line for line in lines if line["event"] == "operator"]
    assert [line["did"] for line in deeds] == ["decided out", "decided in", "decided in", "forgot"]
    assert {line["by"] for line in deeds} == {"password"}
    first, second, bob, forgotten = (line["about"] for line in deeds)
    assert first == second == forgotten != bob
    assert not re.search(r"ann|bob|canary", str(lines))


async def test_the_last_conversation_can_be_read_if_that_is_permitted() -> None:
    """Then each person has a link to it, which names no id."""
    async with open_headquarters(settings=Settings(admin=AdminSettings(read_conversations=True))) as office:
        await office.sign_in()
        turn_id = await office.ask("canary question", ANSWER)
        assert f'href="/admin/conversations/{turn_id}"' in await office.read("people")


async def _nowhere(_piece: str) -> None:
    """Show no preview."""
