"""The HTTP interface: who may use it, and what becomes of what is asked."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from core import entry
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.keys import revoke_key
from core.store import directory
from tests.bots.web.site import LIMITS, Site, events_of, open_site
from tests.options import limits_with

PATHS = {
    "/api/chat": {"text": "hello"},
    "/api/feedback": {"turn": 1, "vote": "up"},
    "/api/press": {"turn": 1, "button": "stop"},
    "/api/forget": {},
}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site(ScriptedEngine.fixed("The **shop** is open.")) as opened:
        yield opened


async def test_a_question_is_answered(site: Site) -> None:
    """The reply comes with its turn, as Markdown and as HTML."""
    answer = (await site.program.post("/api/chat", json={"text": "Are you open?"})).json()
    assert answer["turn"] == 1
    assert answer["reply"]["markdown"] == "The **shop** is open."
    assert answer["reply"]["html"] == "<p>The <strong>shop</strong> is open.</p>\n"
    assert [button["name"] for button in answer["reply"]["buttons"]] == ["up", "down", "again"]


async def test_an_answer_is_streamed(site: Site) -> None:
    """Its pieces, put where they belong, are the answer; then the whole reply comes, and the stream ends."""
    text, events = "", []
    stream = site.program.stream("POST", "/api/chat", json={"text": "Hi"}, headers={"Accept": "text/event-stream"})
    async with stream as response:
        async for name, data in events_of(response.aiter_lines()):
            events.append(name)
            if name == "written":
                text = text[: data["at"]] + data["piece"]
    assert events[0] == "begun"
    assert events[-1] == "replied"
    assert text == "The **shop** is open."


async def test_the_same_key_is_the_same_message(site: Site) -> None:
    """A request that is sent again, since its answer was lost, gets the same answer, and the model is asked once."""
    key = {"Idempotency-Key": "a-1"}
    first = (await site.program.post("/api/chat", json={"text": "Hi"}, headers=key)).json()
    again = (await site.program.post("/api/chat", json={"text": "Hi"}, headers=key)).json()
    assert first == again
    assert len(site.engine.prompts) == 1


async def test_an_answer_under_way_is_joined() -> None:
    """A stream that is asked for again with the same key gets what is written so far, and the rest."""
    async with open_site(ScriptedEngine.hanging(3, text="one two three four")) as site:
        headers = {"Idempotency-Key": "a-1", "Accept": "text/event-stream"}
        for _ in range(2):
            text = ""
            async with site.program.stream("POST", "/api/chat", json={"text": "Hi"}, headers=headers) as response:
                async for name, data in events_of(response.aiter_lines()):
                    if name == "written":
                        text = text[: data["at"]] + data["piece"]
                    if text == "one two three":
                        break
            assert text == "one two three"


async def test_an_answer_can_be_left_for_later(site: Site) -> None:
    """With `Prefer: respond-async` the turn is told at once; the history has the reply."""
    noted = await site.program.post("/api/chat", json={"text": "Hi"}, headers={"Prefer": "respond-async"})
    assert noted.json() == {"turn": 1, "reply": None}
    while not (turns := (await site.program.get("/api/history")).json()["turns"])[0]["reply"]:
        pass
    assert [turn["question"] for turn in turns] == ["Hi"]


async def test_people_of_a_program_are_apart(site: Site) -> None:
    """Each `Parley-User` has a history of their own, and none of another's."""
    for user in ("ada", "bob"):
        await site.program.post("/api/chat", json={"text": f"I am {user}"}, headers={"Parley-User": user})
    history = (await site.program.get("/api/history", headers={"Parley-User": "ada"})).json()
    assert [turn["question"] for turn in history["turns"]] == ["I am ada"]
    assert (await site.program.get("/api/history")).json() == {"turns": []}


async def test_a_vote_is_cast_and_shown(site: Site) -> None:
    """A vote on one's answer is told and stands in the history; nobody votes on another's."""
    await site.program.post("/api/chat", json={"text": "Hi"})
    assert (await site.program.post("/api/feedback", json={"turn": 1, "vote": "down"})).json()["vote"] == -1
    assert (await site.program.get("/api/history")).json()["turns"][0]["vote"] == -1
    other = await site.program.post("/api/feedback", json={"turn": 1, "vote": "up"}, headers={"Parley-User": "bob"})
    assert other.json()["error"] == "question_forgotten"


async def test_who_is_shut_out_can_only_be_forgotten(site: Site) -> None:
    """The web is open to all, but an administrator's No counts: all is refused but /forget."""
    await site.program.post("/api/chat", json={"text": "Hi"})
    (person,) = [known.person for known in await site.store.read(directory.page)]
    await site.store.run(entry.decide, person, False, 0.0)  # noqa: FBT003
    assert (await site.program.post("/api/chat", json={"text": "Hi"})).json()["reply"]["error"] == "not_allowed"
    assert (await site.program.post("/api/press", json={"turn": 1, "button": "again"})).json()["error"] == "not_allowed"
    done = (await site.program.post("/api/forget")).json()
    assert "deleted everything" in done["reply"]["markdown"]
    assert (await site.program.post("/api/chat", json={"text": "Hi"})).json()["reply"]["error"] == "not_allowed"
    assert len(site.engine.prompts) == 1


async def test_an_answer_is_stopped() -> None:
    """The button "stop" ends an answer; what was written stays."""
    async with open_site(ScriptedEngine.hanging(2, text="one two three")) as site:
        asked = asyncio.create_task(site.program.post("/api/chat", json={"text": "Count"}))
        while not any(turn["written"] for turn in (await site.program.get("/api/history")).json()["turns"]):
            pass
        await site.program.post("/api/press", json={"turn": 1, "button": "stop"})
        reply = (await asked).json()["reply"]
        assert (reply["finish"], reply["markdown"].split()[:2]) == ("stopped", ["one", "two"])


async def test_everything_is_forgotten(site: Site) -> None:
    """The answer to /api/forget says that it is done, and nothing of the person is left."""
    await site.program.post("/api/chat", json={"text": "My secret is blue"})
    forgotten = (await site.program.post("/api/forget")).json()
    assert forgotten["reply"]["error"] == ""
    assert (await site.program.get("/api/history")).json() == {"turns": []}


HOURLY = limits_with(per_minute=1 / 60, burst=1, allow=LIMITS.allow)
STREAM, NOTE = {"Accept": "text/event-stream"}, {"Prefer": "respond-async"}


@pytest.mark.parametrize("manner", [{}, STREAM, NOTE])
async def test_a_program_that_is_too_fast_is_told_by_the_status(manner: dict[str, str]) -> None:
    """429 with Retry-After, the refusal as the reply, and nothing of it in the history."""
    async with open_site(ScriptedEngine.fixed("ok"), limits=HOURLY) as site:
        await site.program.post("/api/chat", json={"text": "first"})
        refused = await site.program.post("/api/chat", json={"text": "second"}, headers=manner)
        assert (refused.status_code, refused.json()["turn"]) == (429, None)
        assert refused.json()["reply"]["error"] == "throttled"
        assert 3_500 <= int(refused.headers["retry-after"]) <= 3_600
        assert [turn["question"] for turn in (await site.program.get("/api/history")).json()["turns"]] == ["first"]


async def test_a_person_at_the_page_who_is_too_fast_is_told_in_words() -> None:
    """The refusal is a reply as on every platform: 200, once as a turn, and none for a flood."""
    async with open_site(ScriptedEngine.fixed("ok"), limits=HOURLY) as site:
        await site.browser.get("/")
        answers = [await site.browser.post("/api/chat", json={"text": f"{n}"}) for n in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert [answer.json()["reply"]["error"] for answer in answers] == ["", "throttled", "throttled"]
        assert [answer.json()["turn"] for answer in answers] == [1, 2, None]


async def test_invented_people_do_not_multiply_the_limits() -> None:
    """The limit of a key holds for all names that its program makes up, and for buttons that ask again."""
    limits = limits_with(key_per_minute=1 / 60, key_burst=2, allow=LIMITS.allow)
    async with open_site(ScriptedEngine.fixed("ok"), limits=limits) as site:
        answers = [
            await site.program.post("/api/chat", json={"text": "hi"}, headers={"Parley-User": f"u{number}"})
            for number in range(4)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert {answer.json()["reply"]["error"] for answer in answers[2:]} == {"key_throttled"}
        again = {"turn": 1, "button": "again"}
        pressed = await site.program.post("/api/press", json=again, headers={"Parley-User": "u0"})
        assert (pressed.status_code, pressed.json()["error"]) == (429, "key_throttled")
        assert int(pressed.headers["retry-after"]) > 3_500
        vote = await site.program.post("/api/feedback", json={"turn": 1, "vote": "up"}, headers={"Parley-User": "u0"})
        assert (vote.status_code, vote.json()["vote"]) == (200, 1)


async def test_what_was_refused_for_now_may_be_sent_again() -> None:
    """The same Idempotency-Key is accepted once there is room, and counts once from then on."""
    clock = ManualClock()
    limits = limits_with(key_per_minute=1, key_burst=1, allow=LIMITS.allow)
    async with open_site(ScriptedEngine.fixed("ok"), limits=limits, clock=clock) as site:
        note = {"Idempotency-Key": "a-2", **NOTE}
        await site.program.post("/api/chat", json={"text": "first"}, headers=NOTE)
        refused = await site.program.post("/api/chat", json={"text": "second"}, headers=note)
        clock.epoch += int(refused.headers["retry-after"])
        accepted = [await site.program.post("/api/chat", json={"text": "second"}, headers=note) for _ in range(2)]
        assert [answer.json()["turn"] for answer in accepted] == [2, 2]


@pytest.mark.parametrize("path", [*PATHS, "/api/history", "/api/events"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer parley_wrong"}, {"Cookie": "parley=v-x.y"}])
async def test_without_a_key_there_is_nothing(site: Site, path: str, header: dict[str, str]) -> None:
    """No key and no cookie, or wrong ones: 401, before anything is read."""
    async with httpx.AsyncClient(base_url=site.address, headers=header) as stranger:
        body = PATHS.get(path)
        answer = await (stranger.get(path) if body is None else stranger.post(path, json=body))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_revoked_key_opens_nothing(site: Site) -> None:
    """A key is looked up with every request."""
    assert (await site.program.get("/api/history")).status_code == 200
    await site.store.run(revoke_key, "shop", 0.0)
    assert (await site.program.get("/api/history")).status_code == 401


async def test_keys_are_off_by_default() -> None:
    """Without web.api a key is no key; without web.chat the page's cookie is none."""
    async with open_site(ScriptedEngine.fixed("ok"), api=False) as site:
        assert (await site.program.get("/api/history")).status_code == 401
    async with open_site(ScriptedEngine.fixed("ok"), chat=False) as site:
        assert (await site.browser.get("/")).status_code == 404


@pytest.mark.parametrize(
    "body", ["", "[]", '{"text": ""}', '{"text": 1}', '{"text": "\\ud800"}', '{"turn": -1, "vote": "up"}', "\x00"]
)
async def test_a_malformed_request_is_refused(site: Site, body: str) -> None:
    """Whatever is sent is 422 and stores nothing; what was sent is not repeated."""
    answer = await site.program.post("/api/chat", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "input" in answer.text) == (422, False)
    assert (await site.program.get("/api/history")).json() == {"turns": []}


async def test_a_button_that_does_not_exist_is_refused(site: Site) -> None:
    """404, and nothing happens."""
    assert (await site.program.post("/api/press", json={"turn": 1, "button": "take"})).status_code == 404


async def test_the_interface_is_described(site: Site) -> None:
    """/api/openapi.json is for programs, /api/docs for people; both name every path."""
    described = (await site.browser.get("/api/openapi.json")).json()
    page = (await site.browser.get("/api/docs")).text
    assert {*PATHS, "/api/history", "/api/events"} == {f"/api{path}" for path in described["paths"]}
    assert all(f"/api{path}" in page for path in described["paths"])
