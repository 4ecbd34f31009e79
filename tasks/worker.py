"""The worker: slots for each pool that claim jobs as long as there are any, and the sweeps."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from subprocess import SubprocessError
from typing import Any

from domain.attempt import Failure
from domain.entity import new_id
from domain.job import Job, LeaseLost, Terms
from domain.kinds import SPECS, Pool
from domain.pool import PRESENT_SECONDS
from persistence.database import OUTAGE, will_pass
from persistence.line import Caps
from persistence.queues import absent, present
from persistence.resources import Resources, opened
from persistence.settings import SettingError, Settings
from persistence.work import Work, stop_topic
from tasks import sweep
from tasks.ffmpeg import FfmpegMissing, find_ffmpeg
from tasks.lease import Done, Fork, JobFailed, Lease, Verdict
from tasks.registry import FUNCTIONS
from tasks.schedules import due_schedules
from tasks.workshop import tools

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a worker looks for expired leases and for work that no wake-up told it of."""
ROOM_AFTER = timedelta(seconds=10)
"""For so long a job that needs a worker for itself waits for an idle one; then busy ones make room."""
SWEEP_SECONDS = 5.0
TIDY_SECONDS = 3600.0
STOP_SECONDS = 5.0


UNEXPECTED = Failure(code="INTERNAL", message="Something went wrong on our side; the worker's log says what.")
OVERDUE = Failure(code="OVERDUE", message="It was not done in the time that one attempt may take (ATTEMPT_HOURS).")


async def run(settings: Settings, *, ready: Callable[[], None]) -> None:
    """Work until SIGTERM or SIGINT; then claim nothing more, finish or hand back what runs, and return.

    `ready` is called when it has all it needs. Raises SettingError.
    """
    if not settings.render_slots + settings.speech_slots + settings.light_slots:
        raise SettingError("RENDER_SLOTS, SPEECH_SLOTS and LIGHT_SLOTS must not all be 0: the worker would do nothing")
    if settings.render_slots:
        # Asked now, and off the loop: a worker that cannot render says so when it starts, not in the middle of a job.
        try:
            await asyncio.to_thread(find_ffmpeg, settings.ffmpeg_binary)
        except FfmpegMissing as missing:
            raise SettingError(str(missing)) from missing
    async with opened(settings) as resources:
        worker = Worker(resources)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.draining.set)
        ready()
        await worker.run()


class Worker:
    """One process with slots in some pools."""

    def __init__(self, resources: Resources) -> None:
        """Prepare the slots; nothing runs yet."""
        settings = resources.settings
        self.name = f"{socket.gethostname()}:{os.getpid()}:{new_id()[:6]}"
        self.draining = asyncio.Event()
        self._resources = resources
        self._terms = Terms(
            lease=timedelta(seconds=settings.lease_seconds),
            attempt=timedelta(hours=settings.attempt_hours),
            job=timedelta(hours=settings.job_hours),
        )
        self._caps = Caps.of(settings)
        sizes = {
            Pool.RENDER: settings.render_slots,
            Pool.SPEECH: settings.speech_slots,
            Pool.LIGHT: settings.light_slots,
        }
        self._slots = {pool: size for pool, size in sizes.items() if size}
        self._makes = not self._slots.keys().isdisjoint({Pool.RENDER, Pool.LIGHT})
        """Whether it makes pictures and sounds."""
        self._idle = {pool: asyncio.Semaphore(size) for pool, size in self._slots.items()}
        self._occupied: set[asyncio.Task[None]] = set()
        """Slots that look for jobs or do one."""
        self._asking: dict[Pool, list[asyncio.Future[Lease | None]]] = {pool: [] for pool in self._slots}
        """Slots that want a job."""
        self._claiming = asyncio.Lock()
        self._at_work: set[Lease] = set()
        """Attempts that are running."""
        self._alone = False
        """Whether one of them must have no company (see `Job.is_suspect`)."""
        self._room_for: Pool | None = None
        """Where such a job has waited for too long: nothing else is begun until none is running, and then it."""

    async def run(self) -> None:
        """Work until told to drain."""
        logger.info("worker %s: %s", self.name, ", ".join(f"{n} x {pool}" for pool, n in self._slots.items()))
        loops: list[Coroutine[Any, Any, None]] = [
            _every(LOOK_SECONDS, self._look),
            _every(LOOK_SECONDS, self._fire),
            _every(SWEEP_SECONDS, self._sweep),
            _every(TIDY_SECONDS, self._tidy, first=SWEEP_SECONDS),
            _every(PRESENT_SECONDS, self._present, first=0),
            *(self._resources.queue.receive(pool, n, self._woken(pool)) for pool, n in self._slots.items()),
        ]
        bells = self._resources.doorbells
        async with bells.listening():
            with bells.hung(stop_topic(self.name), self._nudge):
                await self._until_drained(loops)

    async def _until_drained(self, loops: Sequence[Coroutine[Any, Any, None]]) -> None:
        tasks = [asyncio.create_task(each) for each in loops]
        await self.draining.wait()
        self._resources.queue.stop()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=STOP_SECONDS)
        if self._occupied:
            logger.info("worker %s: draining %d jobs", self.name, len(self._occupied))
            async with _repeated(PRESENT_SECONDS, self._present):
                await asyncio.wait(self._occupied)
        with suppress(*OUTAGE):
            await absent(self._resources.database, self.name)

    # Claiming

    def _woken(self, pool: Pool) -> Any:
        async def wake() -> None:
            # The slot's task is ours, not the receiver's: a receiver that ends must not take the job with it.
            await asyncio.shield(self._occupy(pool))

        return wake

    def _occupy(self, pool: Pool) -> asyncio.Task[None]:
        task = asyncio.create_task(self._slot(pool), name=f"slot:{pool}")
        self._occupied.add(task)
        task.add_done_callback(self._occupied.discard)
        return task

    async def _slot(self, pool: Pool) -> None:
        """Claim and run jobs until there are none."""
        async with self._idle[pool]:
            lease = await self._next(pool)
            while lease:
                try:
                    taken = await self._attempt(lease)
                finally:
                    self._at_work.discard(lease)
                    self._alone = False  # if it was set, this was the only one
                    if self._room_for is not None and not self._at_work:
                        self._occupy(self._room_for)
                lease = await self._next(pool) if taken is None else next(iter(taken), None)

    async def _next(self, pool: Pool) -> Lease | None:
        """The next job. One transaction claims for all slots that ask at a time."""
        asked: asyncio.Future[Lease | None] = asyncio.get_running_loop().create_future()
        self._asking[pool].append(asked)
        async with self._claiming:
            if not asked.done():
                await self._answer(pool)
        return asked.result()

    async def _answer(self, pool: Pool) -> None:
        asking, self._asking[pool] = self._asking[pool], []
        leases: list[Lease] = []
        try:
            has_room = self._room_for is None or (self._room_for == pool and not self._at_work)
            if has_room and not (self._alone or self.draining.is_set()):
                self._room_for = None
                leases = await self._claimed(pool, len(asking))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
            logger.warning("no claim in the %s pool: %s", pool, error)
        self._at_work.update(leases)
        for place, asked in enumerate(asking):
            asked.set_result(leases[place] if place < len(leases) else None)

    async def _claimed(self, pool: Pool, most: int) -> list[Lease]:
        async with self._resources.work() as work:
            leases = await self._claim(work, pool, most, suspects=not self._at_work)
        self._alone = any(lease.is_suspect for lease in leases)
        return leases

    async def _claim(self, work: Work, pool: Pool, most: int, *, suspects: bool) -> list[Lease]:
        taken = await work.claim(
            pool, FUNCTIONS, worker=self.name, terms=self._terms, caps=self._caps, suspects=suspects, most=most
        )
        return [Lease(job=job, asked=asked, resources=self._resources) for job, asked in taken]

    async def _claim_next(self, work: Work, lease: Lease) -> list[Lease] | None:
        """Claim the slot's next job in the transaction that ends its last: one commit less for each job.

        None where it has to be asked for by itself: a suspect needs more than a slot, and where there are caps the
        claim waits for others, as nobody should who holds rows.
        """
        if self._alone or self._room_for or self.draining.is_set() or self._caps != Caps():
            return None
        return await self._claim(work, lease.pool, 1, suspects=False)

    async def _look(self) -> None:
        """Find what no message told of: jobs of silent workers, ones whose time has come, claimable ones."""
        for heal in (sweep.expired_leases, sweep.due_jobs):
            while await heal(self._resources) == sweep.BATCH:
                pass
        room_for = None
        if self._at_work and not self._alone:
            reads = self._resources.reads()
            room_for = await reads.stuck_suspect(self._slots, FUNCTIONS, self._caps, ROOM_AFTER, self.name)
        self._room_for = room_for if self._at_work else None
        for pool, idle in self._idle.items():
            if not idle.locked() and await self._resources.reads().has_claimable(pool, FUNCTIONS, self._caps):
                self._occupy(pool)

    async def _fire(self) -> None:
        await due_schedules(self._resources)

    async def _present(self) -> None:
        # Asked once; it blocks for a moment, so not on the loop.
        made_with = await asyncio.to_thread(_tools, self._resources.settings) if self._makes else None
        await present(
            self._resources.database, self.name, self._slots, draining=self.draining.is_set(), tools=made_with
        )

    async def _sweep(self) -> None:
        await sweep.heal(self._resources)

    async def _tidy(self) -> None:
        await sweep.tidy(self._resources)

    def _nudge(self, _topic: str) -> None:
        for lease in self._at_work:
            lease.nudge()

    # Working

    async def _attempt(self, lease: Lease) -> list[Lease] | None:
        """Do the job, or stop it when it is cancelled, lost, or the worker is going away.

        Returns what was claimed along with its end: at most one job; None if nothing was asked for.
        """
        logger.info("job %s (%s): attempt %d", lease.job_id, lease.kind, lease.attempt)
        doing = asyncio.ensure_future(_done(lease))
        beating = asyncio.create_task(lease.beat())
        leaving = asyncio.create_task(self._drained())
        try:
            await asyncio.wait({doing, beating, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return await self._conclude(lease, doing, beating)
        except LeaseLost:
            logger.warning("job %s: attempt %d lost its lease", lease.job_id, lease.attempt)
        except Exception:
            # Whatever it was, the lease runs out and the job goes on elsewhere.
            logger.exception("job %s: attempt %d could not be concluded", lease.job_id, lease.attempt)
        finally:
            lease.over()
            for task in (doing, leaving):
                task.cancel()
            await asyncio.wait({beating}, timeout=STOP_SECONDS)
            beating.cancel()
            await asyncio.gather(doing, beating, leaving, return_exceptions=True)
            await self._clear(lease)
        return None

    async def _clear(self, lease: Lease) -> None:
        try:
            await lease.clear()
        except OUTAGE as error:
            logger.warning("job %s: left something behind for the sweeper: %s", lease.job_id, error)

    async def _drained(self) -> None:
        await self.draining.wait()
        await asyncio.sleep(self._resources.settings.drain_seconds)

    async def _conclude(
        self, lease: Lease, doing: asyncio.Future[Done | Fork], beating: asyncio.Task[Verdict]
    ) -> list[Lease] | None:
        if doing.done():
            return await self._finish(lease, doing, beating)
        # Nothing of it may still be running when others hear that it has stopped.
        doing.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await doing
        if beating.done() and beating.result() is Verdict.LOST:
            raise LeaseLost
        async with self._resources.work() as work:
            job, now = await _held(work, lease), await work.now()
            verdict = beating.result() if beating.done() else None
            if verdict is Verdict.OVERDUE:
                job.fail(lease.token, OVERDUE, now)
            elif verdict is Verdict.CANCEL:
                job.stopped(lease.token, now)
            else:
                job.hand_back(lease.token, now)
        return None

    async def _finish(
        self, lease: Lease, doing: asyncio.Future[Done | Fork], beating: asyncio.Task[Verdict]
    ) -> list[Lease] | None:
        """Write the end of the job; as long as the lease is held, an outage of the database only delays it."""
        alone = False
        while not (beating.done() and (beating.exception() or beating.result() is Verdict.LOST)):
            try:
                async with self._resources.work() as work:
                    job, now = await _held(work, lease), await work.now()
                    await _settle(work, job, lease, doing, now)
                    taken = None if alone else await self._claim_next(work, lease)
            except OUTAGE as error:
                if will_pass(error) or not alone:
                    logger.warning("job %s: its end could not be written yet: %s", lease.job_id, error)
                else:
                    # Then at least that: it failed. What cannot be written either is retried no faster than an outage.
                    logger.exception("job %s: its end cannot be written", lease.job_id)
                    doing = _raised(error)
                alone = True  # it must not fail for what comes next
                await asyncio.sleep(0.5)
                continue
            self._at_work.update(taken or ())
            return taken
        raise LeaseLost


async def _done(lease: Lease) -> Done | Fork:
    try:
        spec = SPECS[lease.kind].from_json(lease.asked)
    except TypeError as error:
        raise JobFailed(
            "SPEC_UNREADABLE", f"This version cannot read what was asked: {error}", hopeless=True
        ) from error
    return await FUNCTIONS[lease.kind](lease, spec)


def _raised(error: Exception) -> asyncio.Future[Done | Fork]:
    future: asyncio.Future[Done | Fork] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


async def _held(work: Work, lease: Lease) -> Job:
    job = await work.kin(lease.job_id, *lease.kin)
    if job is None:
        raise LeaseLost
    job.held(lease.token)
    return job


async def _settle(work: Work, job: Job, lease: Lease, doing: asyncio.Future[Done | Fork], now: datetime) -> None:
    error = asyncio.CancelledError() if doing.cancelled() else doing.exception()
    if error is None:
        done = doing.result()
        if isinstance(done, Fork):
            if job.cancel_requested:
                job.stopped(lease.token, now)
            else:
                await work.fork(job, lease.token, done.children, stage=done.stage, share=done.share)
            return
        asset_id = await done.store(work, job)
        if done.result:
            await work.keep_result(job, done.result)
        job.complete(lease.token, now, asset_id=asset_id)
    elif isinstance(error, JobFailed):
        logger.info("job %s: attempt %d failed: %s", job.id, lease.attempt, error)
        job.fail(lease.token, error.failure, now)
    else:
        logger.error("job %s: attempt %d failed unexpectedly", job.id, lease.attempt, exc_info=error)
        job.fail(lease.token, UNEXPECTED, now)


@cache
def _tools(settings: Settings) -> dict[str, Any] | None:
    """What this machine makes things with; None if it cannot."""
    try:
        return asdict(tools(settings))
    except (FfmpegMissing, OSError, SubprocessError):
        return None


@asynccontextmanager
async def _repeated(seconds: float, step: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Repeat the step as long as the block lasts."""
    task = asyncio.create_task(_every(seconds, step, first=0))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _every(seconds: float, step: Callable[[], Awaitable[None]], *, first: float | None = None) -> None:
    """Repeat the step; whatever stops one (the database is away, say) does not stop the next."""
    await asyncio.sleep(seconds if first is None else first)
    while True:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - it is told, and the next step comes
            logger.warning("%s: %s", step.__name__, error)
        await asyncio.sleep(seconds)
