"""Questions without a good answer, and a form to answer each."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import Response
from pydantic import BaseModel, Field

from bots.admin.office import Here, Number, Office, Operator, Visit, back_to
from core import school
from core.apologies import refusal
from core.errors import EmptyText, KnowledgeMissing, Refusal
from core.knowledge.teaching import Entry
from core.school import MAX_CHARACTERS, School, Trial, different

router = APIRouter()
MOST_GAPS = 50


class Draft(BaseModel):
    """An entry that is being written: a wording of the question in each line, and the answer."""

    number: Number
    wordings: str = Field(default="", max_length=2 * MAX_CHARACTERS)
    answer: str = Field(default="", max_length=2 * MAX_CHARACTERS)
    step: Literal["try", "learn"] = "try"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a draft: its trial, or the words of a refusal."""

    trial: Trial | None = None
    fault: str = ""


@router.get("/gaps")
async def gaps(visit: Operator, here: Here) -> Response:
    """The open gaps. Without knowledge there are none, since nothing could be taught."""
    taught = here.bot.school
    found = await school.list_gaps(taught, MOST_GAPS) if taught else []
    return visit.page("gaps.html", gaps=[gap.gap for gap in found], has_knowledge=taught is not None)


@router.get("/gaps/{number}")
async def gap(visit: Operator, here: Here, number: Number) -> Response:
    return await _form(visit, here, Draft.model_construct(number=number, wordings="", answer=""), Judged(), 200)


@router.post("/gaps/answer")
async def answer(visit: Operator, here: Here, draft: Annotated[Draft, Form()]) -> Response:
    """Try a draft on the questions of its gap, or have it learned."""
    try:
        taught, entry = _school(here), _entry(draft)
        if draft.step == "learn":
            await school.learn(taught, draft.number, entry)
            return back_to("gaps")
        judged = Judged(trial=await school.try_entry(taught, draft.number, entry))
    except Refusal as error:
        return await _form(visit, here, draft, Judged(fault=refusal(error, visit.locale).text), 409)
    return await _form(visit, here, draft, judged, 200)


async def _form(visit: Visit, here: Office, draft: Draft, judged: Judged, status: int) -> Response:
    try:
        questions = different(await school.gap_of(_school(here), draft.number))
    except Refusal as error:
        return visit.page("fault.html", 404, fault="", words=refusal(error, visit.locale).text)
    return visit.page("gap.html", status, questions=questions, draft=draft, judged=judged)


def _school(here: Office) -> School:
    taught = here.bot.school
    if taught is None:
        raise KnowledgeMissing
    return taught


def _entry(draft: Draft) -> Entry:
    entry = school.entry_of(draft.wordings.splitlines(), draft.answer)
    if entry is None:
        raise EmptyText
    return entry
