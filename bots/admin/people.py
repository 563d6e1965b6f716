"""The people who have written to the bot: who may, who may not, and who is to be forgotten."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field

from bots.admin.logbook import note
from bots.admin.office import Here, Number, Office, Operator, Visit, back_to
from core import entry
from core.forgetting import Memory, forget_person
from core.messages import Person
from core.store import directory
from core.store.directory import PAGE, Known, Mark

router = APIRouter()
DECISIONS = {"in": True, "out": False, "open": None}


def _key(text: str) -> str:
    """The key of a person, who may be forgotten since. Raises ValueError."""
    Person.parse(text)
    return text


class Chosen(BaseModel):
    """A person, by their key in the store."""

    person: Annotated[str, Field(max_length=1_000), AfterValidator(_key)]


class Decided(Chosen):
    """What an operator has decided about a person whom they found by a `part` of the name."""

    decision: Literal["in", "out", "open"]
    part: Annotated[str, Field(max_length=200)] = ""


class Wish(Chosen):
    """The wish to have a person forgotten, which is asked for first."""

    step: Literal["ask", "yes"] = "ask"


@router.get("/people")
async def people(
    visit: Operator,
    here: Here,
    part: Annotated[str, Query(max_length=200)] = "",
    turn: Number = 0,
    person: Number = 0,
) -> Response:
    """A page of people; `turn` and `person` are the mark of the one before it."""
    found = await here.bot.store.read(directory.page, part, Mark(turn, person) if person else None)
    return visit.page(
        "people.html",
        found=found,
        part=part,
        following=found[-1].mark if len(found) == PAGE else None,
        named={*here.settings.access.allow, *here.settings.access.admins},
        can_read=here.settings.admin.read_conversations,
        now=here.clock.now(),
    )


@router.post("/people/decide")
async def decide(visit: Operator, here: Here, decided: Annotated[Decided, Form()]) -> Response:
    known = await _find(here, decided)
    if known is None:
        return _gone(visit)
    await here.bot.store.run(entry.decide, known.person, DECISIONS[decided.decision], here.clock.now())
    await note(here, visit, f"decided {decided.decision}", known.person)
    return back_to(f"people?{urlencode({'part': decided.part})}" if decided.part else "people")


@router.post("/people/forget")
async def forget(visit: Operator, here: Here, wish: Annotated[Wish, Form()]) -> Response:
    """Ask whether to delete everything that is stored about a person, or do it and say what is left."""
    known = await _find(here, wish)
    if known is None:
        return _gone(visit)
    if wish.step == "ask":
        return visit.page("forget.html", known=known, left=None)
    bot = here.bot
    memory = Memory(store=bot.store, engine=bot.engine, clock=here.clock, owner=bot.owner)
    left = await forget_person(memory, known.person, forget_answers=bot.answers.forget)
    await note(here, visit, "forgot", known.person)
    return visit.page("forget.html", known=known, left=left)


async def _find(here: Office, chosen: Chosen) -> Known | None:
    return await here.bot.store.read(directory.find, Person.parse(chosen.person))


def _gone(visit: Visit) -> Response:
    return visit.page("fault.html", 404, fault="person_gone", words="")
