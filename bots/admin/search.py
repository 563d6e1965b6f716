"""Tries the search: what a question finds in the knowledge, and how sure the bot is of it."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from bots.admin.office import Here, Operator
from core.language import language_of
from core.text import clean

router = APIRouter()
MAX_CHARACTERS = 2_000


@router.get("/search")
async def search(
    visit: Operator, here: Here, question: Annotated[str, Query(max_length=MAX_CHARACTERS)] = ""
) -> Response:
    asked, expertise = clean(question), here.bot.expertise
    found = None
    if asked and expertise:
        found = await expertise.knowledge.search(asked, language=language_of(asked) or visit.locale)
    return visit.page("search.html", question=asked, findings=found, has_knowledge=expertise is not None)
