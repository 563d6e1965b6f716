"""How the store, the model, the knowledge and the platforms are."""

from fastapi import APIRouter
from fastapi.responses import Response

from bots.admin.office import Here, Operator
from bots.readiness import readiness
from core.store import dead_letters

router = APIRouter()


@router.get("/health")
async def health(visit: Operator, here: Here) -> Response:
    bot = here.bot
    found = await readiness(bot, here.fronts, here.clock)
    return visit.page(
        "health.html",
        readiness=found,
        skipped={front.platform: front.health().skipped for front in here.fronts},
        dead=await bot.store.read(dead_letters.count),
        model=", ".join(here.settings.engine.url) or here.settings.engine.model,
    )
