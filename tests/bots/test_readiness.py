"""/ready tells what works, and what does not, while the database's server is away."""

from bots.app import Bot
from bots.readiness import readiness
from core.admission import Admission
from core.clock import SystemClock
from core.engine.scripted import ScriptedEngine
from core.store import open_store
from tests.faults.wire import open_wire
from tests.idle import Idle
from tests.options import limits_with


async def test_a_lost_server_is_named_until_it_is_back(empty_postgresql: str) -> None:
    """The model is still told to work; and nothing has to be restarted."""
    clock, engine = SystemClock(), ScriptedEngine.fixed()
    async with open_wire(empty_postgresql) as wire, open_store(wire.database) as store:
        bot = Bot(admission=Admission(store, clock, limits_with(), Idle()), store=store, engine=engine)
        assert (await readiness(bot, [], clock)).is_ready
        wire.refuses = True
        wire.cut()
        away = await readiness(bot, [], clock)
        assert (away.store_fault, away.model, away.is_ready) == ("StoreLost", True, False)
        wire.refuses = False
        assert (await readiness(bot, [], clock)).is_ready
