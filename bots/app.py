"""The composition root: settings become a store, an engine, a chatbot and a worker."""

import asyncio
import hmac
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
import structlog
from filelock import FileLock, Timeout

from bots.folders import private_folder
from bots.metrics import CacheLookups
from bots.proxies import ENVIRONMENT
from bots.tracing import open_tracing
from config.options import (
    chat_options,
    help_desk,
    knowledge_options,
    limits,
    model_child,
    model_servers,
    openai_server,
    slots,
    worker_options,
)
from config.settings import Settings
from core.admission import Admission
from core.backoff import Backoff
from core.chat import chatbot
from core.clock import Clock, ShiftedClock
from core.delivery import Delivery
from core.duties import Duties, SharedDuties, SoleDuties
from core.engine.deadline import IdleTimeoutEngine
from core.engine.local import WAIT_SECONDS, open_local
from core.engine.member import Member
from core.engine.openai import OpenAIEngine
from core.engine.protocol import Engine
from core.engine.several import open_several
from core.errors import ConfigError, EngineError, StoreError
from core.forgetting import Memory, forgetting
from core.handoff import offering, taking
from core.help_desk import HelpDesk
from core.intent import IntentReader
from core.knowledge.knowledge import open_knowledge
from core.measures import Measures
from core.models import find_model
from core.neighbours import looking
from core.notice_board import NoticeBoard, hearing
from core.pipeline import compose
from core.progress import Progress, unwatched
from core.school import School
from core.side_by_side import SIDE_BY_SIDE
from core.stages.cache import AnswerCache
from core.stages.knowledge import Expertise
from core.stages.measure import measure
from core.stages.mood import MoodReader
from core.store import Store, events, handoffs, installation, open_store, retention, turns
from core.store.server_time import adjust
from core.worker import Worker, working

log = structlog.get_logger()

DAY = 86_400.0
REDELIVERY = 30 * DAY
"""Seconds after which no platform delivers an event again. Telegram, the most persistent, tries for a day."""
PURGED_AT_ONCE = 200
"""Records deleted in a transaction, which takes milliseconds."""
PURGE_PAUSE = 0.05
"""Seconds between two such transactions, in which messages are accepted."""
LATENESS = 15.0
"""Seconds by which a conversation may be given back too late."""
TIME_ASKED_EVERY = 60.0
"""Seconds between two looks at the clock of the database's server."""
SESSIONS = b"sessions"
"""What the installation's key is used for here; see `Admission.secret`."""
CALIBRATION = "calibration"
"""Folder of the models' biases, in the data folder."""
CALIBRATION_BACKOFF = Backoff(first=5.0, longest=300.0)
GRACE = 20.0
"""Seconds that running replies have at a shutdown. Those that take longer are answered after the next start."""


@asynccontextmanager
async def open_engine(
    settings: Settings,
    clock: Clock,
    progress: Progress = unwatched,
    *,
    sessions: bytes = b"",
    wait_seconds: float = WAIT_SECONDS,
) -> AsyncIterator[Engine]:
    """The configured model: the servers at `engine.url`, or our own server as a child of this process.

    `progress` follows the conversion of its weights. `sessions` is the secret of the ids that name conversations to a
    router of servers. A call waits up to `wait_seconds` for the child.
    Raises ModelMissing if there is no model, so that the bot does not start only to apologise.
    """
    idle_seconds = settings.chat.idle_timeout

    def connect(url: str) -> Engine:
        server = openai_server(settings.engine, url, sessions, proxy=ENVIRONMENT.url_of(url))
        return IdleTimeoutEngine(OpenAIEngine(server), clock, idle_seconds)

    servers = model_servers(settings.engine)
    if len(servers) == 1:
        yield connect(servers[0].url)
        return
    if servers:
        members = [
            Member(name=server.name, place=server.url, weight=server.weight, engine=connect(server.url))
            for server in servers
        ]
        async with open_several(members, clock, slots=slots(settings.engine)) as engine:
            yield engine
        return
    find_model(settings.engine.model, settings.data_dir)
    child = model_child(settings)
    async with open_local(
        child, clock, idle_seconds=idle_seconds, wait_seconds=wait_seconds, progress=progress
    ) as engine:
        yield engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A running bot: where messages are admitted, and the parts that /ready, /metrics and /admin look into.

    Without a folder of knowledge there is no `expertise`. `answers` are those that are cached. `owner` is this gateway.
    """

    admission: Admission
    store: Store
    engine: Engine
    measures: Measures = field(default_factory=Measures)
    expertise: Expertise | None = None
    owner: str = ""
    answers: AnswerCache = field(default_factory=partial(AnswerCache, size=1, ttl=1.0, timer=time.monotonic))

    @property
    def school(self) -> School | None:
        """What operators can teach it."""
        known = self.expertise
        return School(store=self.store, knowledge=known.knowledge, folder=known.folder) if known else None


@asynccontextmanager
async def open_bot(
    settings: Settings,
    clock: ShiftedClock,
    fronts: Mapping[str, Delivery],
    served: Collection[str],
    *,
    indexing: Progress = unwatched,
    converting: Progress = unwatched,
) -> AsyncIterator[Bot]:
    """Run a bot until the context is left.

    `clock` shows the time of the database's server from now on, if there is one, so that all gateways agree; every part
    of this process should have it. `fronts` are the deliveries by front end; it may grow meanwhile. `served` names the
    platforms, or single front ends, that no other process with this data folder serves. `indexing` follows the reading
    of the knowledge, and `converting` the conversion of the model's weights. Raises ConfigError if another process with
    this data folder serves one of them.
    """
    answers = AnswerCache(size=settings.cache.size, ttl=settings.cache.ttl, timer=time.monotonic)
    measures = Measures()
    measures.registry.register(CacheLookups(answers))
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_server(settings.data_dir, served))
        store = await stack.enter_async_context(
            open_store(settings.store_url, measures.transaction, beside=SIDE_BY_SIDE)
        )
        await stack.enter_async_context(_following(store, clock))
        sessions = hmac.digest(await store.read(installation.key), SESSIONS, "sha256")
        engine = await stack.enter_async_context(open_engine(settings, clock, converting, sessions=sessions))
        if settings.has_store_file:  # another gateway of a server may be answering; what it no longer renews runs out
            for name in served:
                await store.run(turns.disown, name)  # the lock proves that the process that served it before has ended
        moods = MoodReader(engine)
        intents = IntentReader(engine)
        expertise = await stack.enter_async_context(open_expertise(settings, intents, clock, indexing))
        options = chat_options(settings)
        tracing = await stack.enter_async_context(open_tracing(os.environ, store, clock))
        owner = uuid4().hex
        handler = chatbot(
            store,
            engine,
            moods,
            answers,
            clock,
            options,
            expertise=expertise,
            intents=intents,
            tracing=tracing,
            owner=owner,
        )
        counted = compose(measure(measures, clock), innermost=handler)
        chosen = worker_options(settings, owner=owner)
        duties: Duties = SoleDuties() if settings.has_store_file else SharedDuties(store, clock, owner)
        desk = help_desk(settings)
        finish = offering.finish if desk else turns.finish
        withdrawn = answers.forget_turn
        shown = tracing.deliveries(fronts)
        worker = Worker(store, counted, shown, clock, chosen, finish=finish, on_withdrawn=withdrawn, measures=measures)
        board = NoticeBoard(owner)
        stack.enter_context(looking(board, worker, answers, store))
        async with (
            hearing(store.transactions.engine, board, clock),
            working(worker, GRACE),
            giving_back(store, clock, desk, worker),
            _purging(store, clock, settings.history.keep_days * DAY),
            forgetting(Memory(store=store, engine=engine, clock=clock, owner=owner), board),
            calibrating([moods, intents] if _reads_intents(settings) else [moods], settings.data_dir, clock),
        ):
            admission = Admission(store, clock, limits(settings), worker, measures, tracing, duties=duties, board=board)
            yield Bot(
                admission=admission,
                store=store,
                engine=engine,
                measures=measures,
                expertise=expertise,
                answers=answers,
                owner=owner,
            )


@asynccontextmanager
async def open_expertise(
    settings: Settings, intents: IntentReader, clock: Clock, progress: Progress
) -> AsyncIterator[Expertise | None]:
    """What the bot knows; None without a folder. Raises KnowledgeUnusable."""
    options = knowledge_options(settings)
    if options is None:
        yield None
        return
    async with open_knowledge(options, clock, progress) as known:
        yield Expertise(
            knowledge=known,
            folder=options.folder,
            intents=intents,
            strict=settings.knowledge.strict,
        )


@asynccontextmanager
async def _beside(job: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run a job until it ends or the context is left, which cancels it."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(job())
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def _following(store: Store, clock: ShiftedClock) -> AsyncIterator[None]:
    """Have the clock show the time of the database's server, which is asked again and again, if there is one.

    Raises StoreError.
    """

    async def follow() -> None:
        while True:
            await clock.sleep(TIME_ASKED_EVERY)
            try:
                await adjust(store, clock)
            except StoreError as error:
                log.warning("the server's time is not known", error=type(error).__name__, reason=str(error))

    if not await adjust(store, clock):
        yield
        return
    async with _beside(follow):
        yield


def _purging(store: Store, clock: Clock, keep: float) -> AbstractAsyncContextManager[None]:
    """Delete the keys of events that no platform delivers again, and turns older than `keep` seconds unless that is 0.

    This is done at once and then daily, by one gateway of those that share a store: the one that looks first. All ages
    count from the time that `retention.look` believes.
    """

    async def purge() -> None:
        while True:
            try:
                if (believed := await store.run(retention.look, clock.now())) is not None:
                    await delete(believed)
            except StoreError as error:
                log.warning("old records stay for now", error=type(error).__name__, reason=str(error))
            await clock.sleep(DAY)

    async def delete(now: float) -> None:
        await in_steps(events.purge, now - REDELIVERY)
        if keep:
            await in_steps(retention.purge_turns, now - keep)
            await in_steps(handoffs.purge, now - keep)
            await in_steps(retention.purge_people, now - keep)

    async def in_steps(verb: Callable[[sa.Connection, float, int], int], before: float) -> None:
        while await store.run(verb, before, PURGED_AT_ONCE) == PURGED_AT_ONCE:
            await clock.sleep(PURGE_PAUSE)

    return _beside(purge)


def giving_back(store: Store, clock: Clock, desk: HelpDesk | None, worker: Worker) -> AbstractAsyncContextManager[None]:
    """Give conversations back to the bot about which no operator has done anything in time.

    Each gateway looks for them. One of them finds them, since the others run their verb after its commit.
    """

    async def give_back() -> None:
        while desk:
            try:
                if await store.read(handoffs.due, clock.now()):
                    await store.run(taking.give_back_late, desk, clock.now())
                    worker.notify()
            except StoreError as error:
                log.warning("conversations stay handed over", error=type(error).__name__, reason=str(error))
            await clock.sleep(LATENESS)

    return _beside(give_back)


def _reads_intents(settings: Settings) -> bool:
    """Whether replies depend on intents."""
    return settings.knowledge.strict or help_desk(settings) is not None


def calibrating(
    readers: Sequence[MoodReader | IntentReader], data_dir: Path, clock: Clock
) -> AbstractAsyncContextManager[None]:
    """Calibrate the labels that replies depend on, beside the first of them, as soon as the model answers."""

    async def calibrate() -> None:
        for failures in count(1):
            try:
                for reader in readers:
                    await reader.calibrate(data_dir / CALIBRATION)
            except EngineError as error:
                log.info("labels are not calibrated yet", error=type(error).__name__)
                await clock.sleep(CALIBRATION_BACKOFF.pause(failures))
            else:
                return

    return _beside(calibrate)


@contextmanager
def sole_server(data_dir: Path, served: Iterable[str]) -> Iterator[None]:
    """Lock each platform in the data folder: two processes would answer each other's turns, or share files.

    Raises ConfigError if another process holds a lock.
    """
    private_folder(data_dir)
    with ExitStack() as locks:
        for name in served:
            try:
                locks.enter_context(FileLock(data_dir / f"{name.replace('/', '-')}.lock", timeout=0))
            except Timeout:
                raise ConfigError("data_dir", f"{name} is served by another parley already") from None
        yield
