"""`parley run`: serve every platform that has a token, in one process, until a signal."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from bots.admin.office import open_office
from bots.admin.site import admin_site
from bots.app import open_bot
from bots.exits import end_by_signal, one_line_errors
from bots.fronts import Deliveries, FrontEnd, Welcome
from bots.logs import configure_logs
from bots.proxies import proxies_of
from bots.slack.adapter import open_slack
from bots.telegram.adapter import open_telegram
from bots.web.front import open_web
from bots.web.server import serving, web_app
from config.load import load_settings
from config.personas import load_persona
from config.settings import Settings
from core.admission import Admission
from core.clock import Clock, ShiftedClock, SystemClock
from core.commands import offered
from core.errors import ConfigError
from core.heap import share_one_heap

log = structlog.get_logger()


def main(config: Annotated[Path | None, typer.Argument()] = None) -> None:
    """Entry point of `python -m bots.run`: load settings, set up logs, run the bot."""
    share_one_heap()
    with one_line_errors():
        settings = load_settings(config)
        configure_logs(settings.log_level)
        asyncio.run(run_bot(settings))


async def run_bot(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends the process at once.

    Raises ConfigError if no platform has a token.
    """
    stop = _on_signals()
    async with AsyncExitStack() as stack:
        clock = ShiftedClock(clock=SystemClock())  # that of all gateways, once the store is open
        fronts = [await stack.enter_async_context(front) for front in _configured(settings, clock)]
        if not fronts:
            raise ConfigError(
                "telegram.token", "is not set, nor are slack.bot_token and web.chat: there is nobody to talk to"
            )
        served = [front.platform for front in fronts]
        bot = await stack.enter_async_context(open_bot(settings, clock, Deliveries(fronts), served))
        admin = admin_site(open_office(bot, fronts, settings, clock))
        web = web_app(bot, fronts, clock, settings.web.hosts, settings.web.cors, more=[admin])
        await stack.enter_async_context(serving(web, settings.web, clock))
        _announce(settings, fronts)
        gc.collect()
        gc.freeze()  # all that is loaded lives as long as the process; looking through it would stop every reply
        async with taking_in(fronts, bot.admission):
            await stop.wait()
        log.info("stopping")


def _configured(settings: Settings, clock: Clock) -> Sequence[AbstractAsyncContextManager[FrontEnd]]:
    fronts: list[AbstractAsyncContextManager[FrontEnd]] = []
    welcome, proxies = _welcome(settings), proxies_of(settings.network)
    if settings.telegram.token.get_secret_value():
        fronts.append(open_telegram(settings.telegram, clock, welcome=welcome, proxies=proxies))
    if settings.slack.bot_token.get_secret_value():
        shared = settings.history.is_shared
        fronts.append(open_slack(settings.slack, clock, shared_history=shared, welcome=welcome, proxies=proxies))
    if settings.web.chat or settings.web.api:
        fronts.append(open_web(settings.web, clock, welcome=welcome))
    return fronts


def _welcome(settings: Settings) -> Welcome:
    chat, questions = settings.chat, settings.questions
    return Welcome(
        name=load_persona(chat.persona).name,
        menu=offered(chat.show_mood, has_people=settings.handoff.where != ""),
        questions={"en": questions.en, "zh": questions.zh},
    )


def _on_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets. The second one ends the process, which answers what it was
    writing after the next start.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            end_by_signal(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def _announce(settings: Settings, fronts: Sequence[FrontEnd]) -> None:
    """Print what is served, and a hint if no one may talk to the bot there yet. The web page is open to all."""
    model = " at ".join(filter(None, (settings.engine.model, ", ".join(settings.engine.url))))
    names = ", ".join(front.platform for front in fronts)
    print(f"Parley is on: {names}; model {model}; http://{settings.web.host}:{settings.web.port}/ready", flush=True)  # noqa: T201
    if not settings.access.allow and not settings.web.chat:
        print("Nobody may talk to it yet: write to it, and put the id it tells you into access.allow.", flush=True)  # noqa: T201


@asynccontextmanager
async def taking_in(fronts: Sequence[FrontEnd], admission: Admission) -> AsyncIterator[None]:
    """Run the intake of all front ends. Raises ConfigError, in a group, once each platform has refused a setting."""
    running = list(fronts)
    async with asyncio.TaskGroup() as group:
        intakes = [group.create_task(_take_in(front, admission, running)) for front in fronts]
        try:
            yield
        finally:
            for intake in intakes:
                intake.cancel()


async def _take_in(front: FrontEnd, admission: Admission, running: list[FrontEnd]) -> None:
    """Run one front end's intake. If its platform refuses a setting, the others that are `running` go on."""
    try:
        await front.run(admission)
    except ConfigError as error:
        running.remove(front)
        if not running:
            raise
        log.error("platform is off", platform=front.platform, reason=str(error))  # noqa: TRY400  no traceback is wanted


if __name__ == "__main__":
    typer.run(main)
