"""Claims turns from the store, runs them through the pipeline, and delivers each reply once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

import sqlalchemy as sa
import structlog

from core.apologies import DIED_TWICE, UNEXPECTED, apology
from core.backoff import Backoff
from core.bulkhead import bulkhead
from core.clock import Clock, Steps
from core.commands import prefix_in
from core.delivery import Claim, Delivery
from core.errors import AnswerUnreadable, DeliveryFailed, DeliveryRejected, LeaseLost, MessageChanged, StoreError
from core.handoff import taking
from core.measures import Ending, Measures
from core.messages import WITHDRAWN, Reply, Sink, Turn
from core.pipeline import Handler
from core.store import Store, handoffs, turns
from core.store.history import Keeping
from core.store.notices import Notice, Topic, send
from core.store.states import ANSWERED, WAITING
from core.store.turns import Lease, Took

P = ParamSpec("P")
R = TypeVar("R")
NextClaim: TypeAlias = Callable[[sa.Connection, Lease, Sequence[str]], Claim | None]
log = structlog.get_logger()

MAX_ATTEMPTS = 2
"""A turn during which the process crashed this often gets an apology instead of another attempt."""
MAX_FAULTS = 3
"""Tries of a turn that may fail unexpectedly before it ends in an apology; and tries of that apology."""
FAULT_BACKOFF = Backoff(first=5.0, longest=60.0)
"""Seconds before the next of these tries."""
SHORTEST_WAIT = 0.05
"""Seconds between two looks for turns, at least."""
CALL_EVERY = 0.1
"""Seconds between two notices of work to other gateways, at least."""
DELIVERIES = 64
"""Replies delivered at the same time, at most."""
NEXT_CLAIM: Mapping[str, NextClaim] = {WAITING: turns.claim_waiting, ANSWERED: turns.claim_answered}
"""What claims a turn in a state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """`slots` turns run at once; times are in seconds.

    Turns of a gateway that does not renew its leases for `lease` seconds are claimed by others. The store is polled
    every `poll` seconds. `keeping` bounds the history of each conversation.
    """

    owner: str
    slots: int
    lease: float = 10.0
    poll: float = 1.0
    keeping: Keeping


class Worker:
    """Serves the turns of the given front ends until it is stopped."""

    def __init__(  # noqa: PLR0913  one parameter for each part that a turn passes
        self,
        store: Store,
        answer: Handler,
        fronts: Mapping[str, Delivery],
        clock: Clock,
        options: WorkerOptions,
        *,
        finish: Callable[..., bool] = turns.finish,
        on_withdrawn: Callable[[int], None] = lambda _turn_id: None,
        measures: Measures | None = None,
    ) -> None:
        """`finish` is the verb that records a reply. `on_withdrawn` is called with each turn that is withdrawn, before
        it is deleted.
        """
        self._finish = finish
        self._store = store
        self._answer = answer
        self._fronts = fronts
        self._clock = clock
        self._options = options
        self._on_withdrawn = on_withdrawn
        self._measures = measures or Measures()
        self._owner = options.owner
        self._free = asyncio.Semaphore(options.slots)
        self._is_crowded = asyncio.Event()
        self._bells = (asyncio.Event(), asyncio.Event())
        self._stopping = False
        self._steps = Steps(clock)
        self._claiming = asyncio.Lock()
        self._held: set[int] = set()
        self._holds_unknown = False
        self._stopped: dict[int, asyncio.Event] = {}

    def notify(self) -> None:
        """Look for work now instead of at the next poll. If all slots are taken, other gateways are to look as well."""
        self._ring()
        if self._free.locked():
            self._is_crowded.set()

    async def look(self, notice: Notice) -> None:
        """Look at what another gateway has sent a notice of."""
        if notice.topic is Topic.WORK:
            self._ring()
        elif not notice.turn_id or notice.turn_id in self._stopped:
            await self._interrupt_changed()

    def interrupt(self, turn_id: int) -> None:
        """Stop the reply to this turn if this process is generating it."""
        if stopped := self._stopped.get(turn_id):
            stopped.set()

    def stop(self) -> None:
        """Claim no more turns; `run` returns once the current ones are done."""
        self._stopping = True
        self._ring()

    async def run(self) -> None:
        """Work until stopped. A turn cancelled in the middle is released for the next gateway."""
        to_answer, to_deliver = self._bells
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._keep_leases()), group.create_task(self._call_others())]
            answering = group.create_task(self._pump(WAITING, self._answer_turn, to_answer, self._free))
            await self._pump(ANSWERED, self._deliver, to_deliver, asyncio.Semaphore(DELIVERIES))
            await answering
            for task in beside:
                task.cancel()

    async def _pump(
        self,
        state: str,
        serve: Callable[[Claim], Awaitable[None]],
        bell: asyncio.Event,
        free: asyncio.Semaphore,
    ) -> None:
        """Claim and serve turns in a state while slots are free; without a turn, wait for the bell or the next poll."""
        async with asyncio.TaskGroup() as group:
            while await free.acquire() and not self._stopping:
                bell.clear()
                if claim := await self._claim(NEXT_CLAIM[state]):
                    served = group.create_task(self._serve_or_release(serve, claim))
                    served.add_done_callback(partial(self._let_go, claim.id, free))
                else:
                    free.release()
                    await self._wait(state, bell)

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()

    async def _ring_for_the_next(self) -> None:
        """A turn has ended: the next one of its conversation may begin. Usually there is no turn left to look for."""
        has_more = True
        with bulkhead():
            has_more = await self._store.run(turns.has_unclaimed, tuple(self._fronts))
        if has_more:
            self._ring()

    async def _call_others(self) -> None:
        """Have other gateways look for work that came while all slots here were taken. Endless.

        Work that comes to a free slot is not announced: they would all try to claim it, in vain.
        """
        while await self._is_crowded.wait():
            self._is_crowded.clear()
            with suppress(StoreError):  # they poll
                await self._store.run(send, Notice(topic=Topic.WORK))
            await self._clock.sleep(CALL_EVERY)

    def _let_go(self, turn_id: int, slot: asyncio.Semaphore, _: asyncio.Task[None]) -> None:
        self._held.discard(turn_id)
        slot.release()

    async def _claim(self, next_claim: NextClaim) -> Claim | None:
        """The next turn, if there is one. Whatever the store raises, there is a next look for turns."""
        claim = None
        with bulkhead() as outcome:
            await self._notice_step()
            async with self._claiming:
                claim = await self._try_claim(next_claim)
        if outcome.fault:
            log.error("claim failed unexpectedly", fault=outcome.fault)
        return claim

    async def _notice_step(self) -> None:
        """If the clock was set, or the machine slept, other gateways have had no time to renew their leases."""
        if seconds := self._steps.step():
            log.warning("the clock was set", seconds=round(seconds))
            await self._store.run(turns.restart_leases, self._lease(), tuple(self._fronts))

    async def _try_claim(self, next_claim: NextClaim) -> Claim | None:
        claiming = asyncio.create_task(self._lease_next(next_claim))
        try:
            return await asyncio.shield(claiming)
        except StoreError as error:
            log.warning("claim failed", error=type(error).__name__, reason=str(error))
            self._holds_unknown = True
            return None
        except asyncio.CancelledError:
            if claim := await claiming:  # the store has leased it to us
                await self._store.run(turns.release, claim, self._owner)
            raise

    async def _lease_next(self, next_claim: NextClaim) -> Claim | None:
        """The next turn, which is held from now on. A claim that failed may have leased one all the same."""
        if self._holds_unknown:
            await self._store.run(turns.release_all_but, tuple(self._held), self._owner)
            self._holds_unknown = False
        if claim := await self._store.run(next_claim, self._lease(), tuple(self._fronts)):
            self._held.add(claim.id)
        return claim

    async def _wait(self, state: str, bell: asyncio.Event) -> None:
        try:
            async with self._clock.timeout(await self._pause(state)):
                await bell.wait()
        except TimeoutError:
            return

    async def _pause(self, state: str) -> float:
        """Seconds until the next look for turns in a state."""
        now, poll = self._clock.now(), self._options.poll
        with bulkhead():
            if due := await self._store.run(turns.next_due, state, now, tuple(self._fronts)):
                return min(poll, max(due - now, SHORTEST_WAIT))
        return poll

    async def _serve_or_release(self, serve: Callable[[Claim], Awaitable[None]], claim: Claim) -> None:
        """Serve a turn. Whatever happens costs this turn only."""
        with bulkhead() as outcome:
            await self._try(serve, claim)
        if outcome.fault:
            await self._give_back(claim, outcome.fault)

    async def _give_back(self, claim: Claim, fault: str) -> None:
        """Count a try that failed unexpectedly: the turn is tried again, or it is given up on as a dead letter."""
        faults = claim.faults + 1
        log.error("turn failed unexpectedly", turn=claim.id, fault=fault, faults=faults)
        with bulkhead():
            await self._delivery(claim).drop(claim)
        if faults < 2 * MAX_FAULTS:
            self._count(claim, Ending.RETRIED)
            until = self._clock.now() + FAULT_BACKOFF.pause(faults)
            await self._run_until_stored(turns.fail, claim, self._owner, until, fault=fault)
        else:
            log.error("dead letter", turn=claim.id)
            self._count(claim, Ending.FAILED)
            await self._run_until_stored(turns.bury, claim, self._owner, fault=fault)
            await self._ring_for_the_next()

    async def _try(self, serve: Callable[[Claim], Awaitable[None]], claim: Claim) -> None:
        try:
            await serve(claim)
        except AnswerUnreadable:
            raise  # what was posted is not known, so that this must not go on for ever
        except DeliveryFailed as error:
            self._count(claim, Ending.RETRIED)
            await self._run_until_stored(turns.release, claim, self._owner, self._clock.now() + error.retry_after)
        except LeaseLost:
            log.warning("lease lost to another gateway", turn=claim.id)
            await self._delivery(claim).drop(claim)
        except MessageChanged:
            await self._delivery(claim).drop(claim)
            await self._run_until_stored(turns.reopen, claim, self._owner)
            self._ring()
        except StoreError as error:
            log.warning("turn postponed", turn=claim.id, error=type(error).__name__, reason=str(error))
            await self._run_until_stored(turns.release, claim, self._owner, self._clock.now() + self._options.poll)
        except asyncio.CancelledError:
            await self._store.run(turns.release, claim, self._owner)
            raise

    async def _answer_turn(self, claim: Claim) -> None:
        """Answer a turn, which can be stopped from now on: showing that it is being worked on may take seconds."""
        if claim.faults >= MAX_FAULTS:
            await self._apologise(claim)
            return
        self._stopped[claim.id] = asyncio.Event()
        try:
            claim = await self._answered(claim)
        finally:
            del self._stopped[claim.id]
        await self._deliver(claim)

    async def _answered(self, claim: Claim) -> Claim:
        """The claim with its reply, once that is stored."""
        delivery = self._delivery(claim)
        if not claim.handle and claim.reply is None:
            claim = await self._commit_handle(claim, await delivery.begin(claim))

        begun, first_piece = self._clock.monotonic(), None

        async def preview(piece: str) -> None:
            nonlocal claim, first_piece
            if first_piece is None:
                first_piece = self._clock.monotonic() - begun
            if handle := await delivery.preview(claim, piece):
                claim = await self._commit_handle(claim, handle)

        reply = claim.reply or await self._reply(claim, preview)
        took = Took(seconds=self._clock.monotonic() - begun, first_piece=first_piece)
        if not await self._run_until_stored(
            self._finish, claim, self._owner, reply, self._clock.now(), self._options.keeping, took=took
        ):
            raise LeaseLost
        await self._interrupt_changed()
        return replace(claim, reply=reply)

    async def _reply(self, claim: Claim, sink: Sink) -> Reply:
        if claim.attempt > MAX_ATTEMPTS:
            return apology(DIED_TWICE, claim.locale)
        stopped = self._stopped[claim.id]
        return await self._answer(
            Turn(id=claim.id, message=claim.message, locale=claim.locale, sink=sink, stopped=stopped)
        )

    async def _commit_handle(self, claim: Claim, handle: str) -> Claim:
        """The claim with the handle, once it is committed."""
        if handle != claim.handle and not await self._run_until_stored(turns.set_handle, claim, self._owner, handle):
            raise LeaseLost
        return replace(claim, handle=handle)

    async def _deliver(self, claim: Claim) -> None:
        """Deliver a reply, or an apology in place of one that could not be delivered."""
        reply = claim.reply
        assert reply is not None
        if reply.error == WITHDRAWN.error:
            await self._withdraw(claim)
            return
        try:
            if claim.title:
                claim = await self._in_its_thread(claim)
            if claim.faults >= MAX_FAULTS:
                await self._apologise(claim)
                return
            claim = await self._show(claim, reply)
        except DeliveryRejected as error:
            log.error("hand-off given up", turn=claim.id, reason=error.reason)  # noqa: TRY400  no traceback is wanted
            self._count(claim, Ending.FAILED)
            await self._run_until_stored(taking.give_up, claim.id, self._clock.now())
        else:
            await self._run_until_stored(turns.mark_delivered, claim, self._owner)
            self._count(claim, Ending.DELIVERED)
        await self._ring_for_the_next()

    async def _in_its_thread(self, claim: Claim) -> Claim:
        """The claim in the thread that is opened for it, which is committed first. Raises DeliveryRejected."""
        thread = await self._delivery(claim).open_thread(claim)
        if not await self._run_until_stored(handoffs.set_thread, claim.id, self._owner, thread):
            raise LeaseLost
        place = replace(claim.message.conversation, thread=thread)
        return replace(claim, title="", message=replace(claim.message, conversation=place, reference=thread))

    async def _withdraw(self, claim: Claim) -> None:
        """Remove everything that is shown and stored of a turn."""
        self._on_withdrawn(claim.id)
        await self._delivery(claim).withdraw(claim)
        await self._run_until_stored(turns.remove, claim, self._owner)
        await self._ring_for_the_next()

    async def _apologise(self, claim: Claim) -> None:
        """Close a turn with an apology. A reply that it has is kept until the platform has accepted the apology."""
        sorry = apology(UNEXPECTED, claim.locale, prefix_in(claim.message.conversation))
        claim = await self._show(claim, sorry)
        self._count(claim, Ending.APOLOGISED)
        await self._run_until_stored(turns.end_in_apology, claim, self._owner, sorry, self._clock.now())
        await self._ring_for_the_next()

    async def _show(self, claim: Claim, reply: Reply) -> Claim:
        """Show a reply; the handle of each new message is committed before the next message is posted."""
        while (handle := await self._delivery(claim).finish(claim, reply)) != claim.handle:
            claim = await self._commit_handle(claim, handle)
        return claim

    def _count(self, claim: Claim, ending: Ending) -> None:
        self._measures.note_delivery(claim.message.conversation.platform, ending)

    def _delivery(self, claim: Claim) -> Delivery:
        return self._fronts[claim.message.conversation.front]

    async def _run_until_stored(
        self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Retry a verb until the store accepts it: a finished reply is not lost because the disk is full."""
        while True:
            try:
                return await self._store.run(verb, *args, **kwargs)
            except StoreError as error:
                log.warning("write failed", verb=verb.__name__, error=type(error).__name__, reason=str(error))
                await self._clock.sleep(self._options.poll)

    async def _keep_leases(self) -> None:
        while True:
            await self._clock.sleep(self._options.lease / 3)
            try:
                await self._store.run(turns.renew, self._lease())
                await self._interrupt_changed()
            except StoreError as error:
                log.warning("lease renewal failed", error=type(error).__name__, reason=str(error))

    async def _interrupt_changed(self) -> None:
        """Stop the replies to messages that a command, perhaps of another process, has changed or deleted."""
        for turn_id in await self._store.run(turns.changed, self._owner):
            self.interrupt(turn_id)

    def _lease(self) -> Lease:
        now = self._clock.now()
        return Lease(owner=self._owner, now=now, until=now + self._options.lease)


@asynccontextmanager
async def working(worker: Worker, grace: float) -> AsyncIterator[None]:
    """Run a worker within the context. On exit it claims no more turns and has `grace` seconds to finish its own.

    If an error or a cancellation ends the context, its turns are released at once.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run())
        try:
            yield
            worker.stop()
            await asyncio.wait({task}, timeout=grace)
        finally:
            task.cancel()
