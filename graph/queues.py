"""The queues: what administrators see of pools, jobs and workers, and pausing a pool."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import strawberry
from sqlalchemy import true
from strawberry import auto

from domain.job import Job, JobState
from domain.kinds import JobKind, Pool
from domain.pool import KindNumbers, Queue, QueueWorker
from domain.refusals import InvalidInput
from domain.user import User
from domain.viewer import Scope
from graph.context import Info
from graph.face import face, said
from graph.guard import mutation, query, scoped, subscription
from graph.hub import Hub
from graph.jobs import JobFace
from graph.pages import After, Before, Connection, First, Last, connection
from graph.queue_watch import QueueWatch
from graph.users import UserFace
from persistence import queues as kept
from persistence.line import Caps
from persistence.resources import Resources

LONGEST_INTERVAL_MS = 60_000


@strawberry.interface(description="How it stands with a pool, or with one kind of job in it.")
class QueueNumbers:
    """The numbers that a pool and its kinds have in common."""

    depth: int = said("Jobs in line: a worker may take them now.")
    scheduled: int = said("Jobs put off: until the time they were asked for, or until they are tried again.")
    waiting: int = said("Jobs that wait for their children, and hold no slot meanwhile.")
    oldest_seconds: float | None = said("For how long the oldest job in line has been there; null when none is.")
    running: int = said("Jobs that a worker is at.")
    completed_per_minute: float = said("Jobs completed a minute, over the last 5 minutes.")
    failures: int = said("Jobs that failed for good in the last hour.")
    stuck: int = said("Jobs whose lease ran out, or which stand in line for over 30 seconds beside an idle slot.")


@face(KindNumbers, name="QueueKind")
class KindFace(QueueNumbers):
    """How it stands with one kind of job in a pool."""

    kind: auto = said("Which kind.")


@face(QueueWorker)
class QueueWorkerFace:
    """A worker, and what it has to do with a pool."""

    name: auto = said("Its host, process id and a word that tells it from others: jobs and attempts name it so.")
    slots: auto = said("How many jobs of the pool it runs at once.")
    running: auto = said("How many it is at.")
    draining: auto = said("Whether it finishes what it has, and takes nothing more.")
    silent: auto = said("Whether it has not been heard of for 6 seconds: it is taken for gone.")
    started_at: auto = said("When it started.")
    seen_at: auto = said("When it was last heard of; workers say every 2 seconds that they are there.")


@face(Queue)
class QueueFace(QueueNumbers):
    """A pool as its operator sees it. Its numbers are the sums of those of its kinds."""

    pool: auto = said("Which pool.")
    slots: int = said("How many jobs its workers run at once: those that are neither silent nor draining.")
    paused_at: datetime | None = said("Since when nothing is taken from it; null when it is not paused.")
    kinds: list[KindFace] = said("The same for each kind of job that has anything to tell.")
    workers: list[QueueWorkerFace] = said("Who serves it, silent ones too until a day has passed.")

    @strawberry.field(
        description="Who paused it; null when it is not paused, or they are gone.", graphql_type=UserFace | None
    )
    async def paused_by(self: Any, info: Info) -> User | None:
        return await info.context.loaders.get(User, self.paused_by)


@strawberry.input(description="Which pool to pause.")
class PausePoolInput:
    """Input of pausePool."""

    pool: Pool = said("The pool.")


@strawberry.input(description="Which pool to resume.")
class ResumePoolInput:
    """Input of resumePool."""

    pool: Pool = said("The pool.")


@strawberry.type
class QueueQueries:
    """What administrators can ask of the queues."""

    @query(scoped(Scope.ADMIN), list[QueueFace])
    async def queues(self, info: Info) -> list[Queue]:
        """How it stands with each pool. For administrators."""
        return await _queues(info.context.resources)

    @query(scoped(Scope.ADMIN), Connection[JobFace])
    async def all_jobs(
        self,
        info: Info,
        state: Annotated[JobState | None, strawberry.argument(description="Only those in this state.")] = None,
        kind: Annotated[JobKind | None, strawberry.argument(description="Only those of this kind.")] = None,
        pool: Annotated[Pool | None, strawberry.argument(description="Only those of this pool.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Job]:
        """The jobs of all projects, newest first. For administrators."""
        where = true()
        for column, wanted in ((Job.state, state), (Job.kind, kind), (Job.pool, pool)):
            if wanted is not None:
                where &= column == wanted
        return await connection(info, Job, where, first=first, after=after, last=last, before=before)


@strawberry.type
class QueueMutations:
    """What administrators can do to the queues."""

    @mutation(scoped(Scope.ADMIN), QueueFace)
    async def pause_pool(
        self, info: Info, input: Annotated[PausePoolInput, strawberry.argument(description="Which one.")]
    ) -> Queue:
        """Let workers take nothing more from a pool. What runs there goes on, what comes waits. Again is harmless."""
        async with info.context.resources.work() as work:
            await kept.pause(work, input.pool, info.context.me.user_id)
        return await _queue(info.context.resources, input.pool)

    @mutation(scoped(Scope.ADMIN), QueueFace)
    async def resume_pool(
        self, info: Info, input: Annotated[ResumePoolInput, strawberry.argument(description="Which one.")]
    ) -> Queue:
        """Let workers take from a pool again, at once. Again is harmless."""
        async with info.context.resources.work() as work:
            await kept.resume(work, input.pool)
        return await _queue(info.context.resources, input.pool)


@strawberry.type
class QueueSubscriptions:
    """What administrators can watch of the queues."""

    @subscription(scoped(Scope.ADMIN), list[QueueFace])
    async def queues(
        self,
        info: Info,
        min_interval_ms: Annotated[
            int, strawberry.argument(description="At most one event in so many milliseconds, up to a minute.")
        ] = 1000,
    ) -> AsyncGenerator[list[Queue]]:
        """The queues as they are now, then whenever they have changed: they are looked at once a second.

        For administrators; it completes for one who no longer is that.
        """
        if not 0 <= min_interval_ms <= LONGEST_INTERVAL_MS:
            raise InvalidInput(path="minIntervalMs", problem=f"it must be between 0 and {LONGEST_INTERVAL_MS}")
        shown: list[Queue] | None = None
        not_before = 0.0
        async with aclosing(_watch(info).looks()) as looks:
            async for look in looks:
                if info.context.me.user_id not in look.admins:
                    return
                if look.at >= not_before and look.queues != shown:
                    # A little less: a look now and then comes a moment early, and must not wait for the next.
                    shown, not_before = look.queues, look.at + min_interval_ms / 1000 - 0.05
                    info.context.look_afresh()
                    yield look.queues


_WATCHES: WeakKeyDictionary[Hub, QueueWatch] = WeakKeyDictionary()


def _watch(info: Info) -> QueueWatch:
    """The one watch of this process."""
    resources, hub = info.context.resources, info.context.hub
    if hub not in _WATCHES:
        _WATCHES[hub] = QueueWatch(partial(kept.queues_and_admins, resources.database, Caps.of(resources.settings)))
    return _WATCHES[hub]


async def _queues(resources: Resources) -> list[Queue]:
    return await kept.queues(resources.database, Caps.of(resources.settings))


async def _queue(resources: Resources, pool: Pool) -> Queue:
    return next(queue for queue in await _queues(resources) if queue.pool == pool)
