"""Jobs: what there is to do, how far it is, and stopping or repeating it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from sqlalchemy import and_, select
from strawberry import auto

from domain.asset import Asset
from domain.attempt import Attempt, Outcome
from domain.job import Job, JobState, Priority
from domain.kinds import LONGEST_PAUSE, JobKind, PauseSpec, Pool
from domain.order import Order, same_request
from domain.project import Project
from domain.refusals import (
    IdempotencyKeyReused,
    InvalidInput,
    JobAlreadyEnded,
    JobNotRetryable,
    NotFound,
    RenderAlreadyActive,
)
from domain.user import User
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import Node, face, said, worded
from graph.guard import mutation, query, scoped, signed_in, subscription
from graph.outputs import VerificationFace
from graph.pages import After, Before, Connection, First, Last, connection
from graph.transport.live import State
from graph.transport.sharing import SAME_FOR_ALL
from graph.users import UserFace
from persistence.work import Work

if TYPE_CHECKING:
    from graph.assets import AssetFace
    from graph.projects import ProjectFace

worded(JobKind)
worded(Outcome)
worded(Pool)
worded(Priority)

MOST_PARTS = 100
LONGEST_INTERVAL_MS = 60_000

MaybeProject: TypeAlias = Annotated["ProjectFace", strawberry.lazy("graph.projects")] | None
MaybeAsset: TypeAlias = Annotated["AssetFace", strawberry.lazy("graph.assets")] | None
MaybeJob: TypeAlias = Annotated["JobFace", strawberry.lazy("graph.jobs")] | None
Jobs: TypeAlias = Connection[Annotated["JobFace", strawberry.lazy("graph.jobs")]]


@face(Job, name="JobProgress")
class ProgressFace:
    """How far a job has come in its present attempt."""

    stage: auto = said("What it is doing: queued, starting, planning, encoding, mixing, verifying, publishing, …")
    fraction: auto = said("Between 0 and 1; never goes backwards within an attempt.")
    frames: auto = said("Frames done, where it counts frames.")
    total_frames: auto = said("Frames in all.")
    fps: auto = said("Frames a second, lately.")
    speed: auto = said("Seconds of output made in a second.")
    eta_seconds: auto = said("Seconds to go, as far as can be said.")


@strawberry.type(name="JobError", description="Why a job failed, or why it is being tried again.")
class ErrorFace:
    """Two columns of a job as one thing."""

    code: str = said("The kind of failure, for programs.")
    message: str = said("What happened, for people.")


@face(Attempt, name="JobAttempt")
class AttemptFace:
    """One try at a job, which has ended."""

    number: auto = said("Counts from 1.")
    started_at: auto = said("When the worker took the job.")
    ended_at: auto = said("When it ended.")
    outcome: auto = said("How it ended.")
    exit_code: auto = said("Of the program that failed, if it was one; negative for the signal that killed it.")

    @strawberry.field(
        description="Who made it: a mark of its own; for administrators behind the machine and the process."
    )
    def worker(self: Any, info: Info) -> str | None:
        if self.worker is None or info.context.me.is_admin:
            return self.worker
        return self.worker.rpartition(":")[2]

    @strawberry.field(description="Why it failed.")
    def error(self: Any) -> ErrorFace | None:
        return ErrorFace(code=self.error_code, message=self.error_message or "") if self.error_code else None

    @strawberry.field(description="The last lines that this program said.")
    def last_lines(self: Any) -> list[str]:
        return self.tail or []


@face(Job)
class JobFace(Node):
    """One piece of long work: queued, then processed by a worker, then completed, failed or cancelled."""

    kind: auto = said("What it does.")
    state: auto = said("Where it is in its life.")
    attempt: auto = said("Which attempt this is; 0 before the first.")
    failures: auto = said("How many attempts have failed since it was started or retried.")
    pool: auto = said("Whose slots it needs.")
    created_at: auto = said("When it was asked for.")
    queued_at: auto = said("When it last began to wait.")
    not_before: auto = said("When it may be taken, if not yet: it was asked for later, or waits before another try.")
    ends_by: auto = said("When it is given up, however far it is; known once a worker has taken it.")
    started_at: auto = said("When a worker first took it.")
    ended_at: auto = said("When it ended.")
    version: auto = said("Rises with every change of state.")

    @strawberry.field(name="priority", description="Which jobs of its pool come first.", metadata=SAME_FOR_ALL)
    def priority_(self: Any) -> Priority:
        return next(each for each in Priority if each.rank == self.priority)

    @strawberry.field(
        description="The tries that have ended, the last first; a hundred at most.",
        graphql_type=list[AttemptFace],
        metadata=SAME_FOR_ALL,
    )
    async def attempts(self: Any, info: Info) -> list[Attempt]:
        return await info.context.loaders.attempts(self.id)

    @strawberry.field(
        description="The job that has handed it a part of its work. The two fail and are cancelled together.",
        graphql_type=MaybeJob,
        metadata=SAME_FOR_ALL,
    )
    async def parent(self: Any, info: Info) -> Job | None:
        return await info.context.loaders.get(Job, self.parent_id)

    @strawberry.field(
        description="The jobs that it has handed its work to; it goes on when all of them are completed.",
        graphql_type=Jobs,
    )
    async def children(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Job]:
        where = Job.parent_id == self.id
        return await connection(info, Job, where, first=first, after=after, last=last, before=before)

    @strawberry.field(description="How far it has come.", graphql_type=ProgressFace, metadata=SAME_FOR_ALL)
    def progress(self: Any) -> Job:
        return self

    @strawberry.field(description="Why it failed, or why it is being tried again.", metadata=SAME_FOR_ALL)
    def error(self: Any) -> ErrorFace | None:
        return ErrorFace(code=self.error_code, message=self.error_message or "") if self.error_code else None

    @strawberry.field(
        description="Where it belongs; null when that was just deleted.",
        graphql_type=MaybeProject,
        metadata=SAME_FOR_ALL,
    )
    async def project(self: Any, info: Info) -> Project | None:
        return await info.context.loaders.get(Project, self.project_id)

    @strawberry.field(
        description="The asset it examines, or the one it made.", graphql_type=MaybeAsset, metadata=SAME_FOR_ALL
    )
    async def asset(self: Any, info: Info) -> Asset | None:
        return await info.context.loaders.get(Asset, self.asset_id)

    @strawberry.field(
        description="What was checked of the file before it was published; null for all but completed renders.",
        metadata=SAME_FOR_ALL,
    )
    async def verification(self: Any, info: Info) -> VerificationFace | None:
        if self.kind is not JobKind.RENDER or self.state is not JobState.COMPLETED:
            return None
        result = await info.context.loaders.result(self.id) or {}
        return VerificationFace.of(result["verification"]) if "verification" in result else None

    @strawberry.field(
        description="Who asked for it; null when they are gone.", graphql_type=UserFace | None, metadata=SAME_FOR_ALL
    )
    async def user(self: Any, info: Info) -> User | None:
        return await info.context.loaders.get(User, self.user_id)


@strawberry.input(description="Which job to cancel.")
class CancelJobInput:
    """Input of cancelJob."""

    id: strawberry.ID = said("The job.")


@strawberry.input(description="Which job to retry.")
class RetryJobInput:
    """Input of retryJob."""

    id: strawberry.ID = said("A failed or cancelled job.")


@strawberry.input(description="A job that only takes time.")
class StartPauseInput:
    """Input of startPause."""

    project_id: strawberry.ID = said("Where it is to run.")
    seconds: float = said("How long; at most an hour.")
    pool: Pool = strawberry.field(default=Pool.LIGHT, description="Which slots it is to take.")
    parts: int = strawberry.field(default=0, description="So many children share the time between them; 0 for none.")
    priority: Priority = strawberry.field(default=Priority.NORMAL, description="Which jobs of its pool come first.")
    not_before: datetime | None = strawberry.field(default=None, description="Not before this time.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key and input again answer with the same job."
    )


async def visible_job(info: Info, job_id: str) -> Job:
    """The job, if the viewer may see it."""
    job = await info.context.loaders.get(Job, job_id)
    if job is None or not await info.context.sees(job.project_id):
        raise NotFound(what="job", id=job_id)
    return job


async def job_with_key(work: Work, project_id: str, key: str | None) -> Job | None:
    """The job that an idempotency key has made in a locked project."""
    if key is None:
        return None
    return await work.session.scalar(select(Job).where(Job.project_id == project_id, Job.idempotency_key == key))


@strawberry.type
class JobQueries:
    """What can be asked of jobs."""

    @query(signed_in, JobFace | None)
    async def job(self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The job.")]) -> Job:
        """One job."""
        return await visible_job(info, id)

    @query(signed_in, Connection[JobFace])
    async def jobs(
        self,
        info: Info,
        project_id: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
        state: Annotated[JobState | None, strawberry.argument(description="Only those in this state.")] = None,
        kind: Annotated[JobKind | None, strawberry.argument(description="Only those of this kind.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Job]:
        """The jobs of a project, newest first; those that are parts of others are among their `children`.

        Previews are left out unless they are asked for by their kind.
        """
        await info.context.must_see(project_id)
        where = [Job.project_id == project_id, Job.parent_id.is_(None)]
        if state:
            where.append(Job.state == state)
        where.append(Job.kind == kind if kind else Job.kind != JobKind.PREVIEW)
        return await connection(info, Job, and_(*where), first=first, after=after, last=last, before=before)


@strawberry.type
class JobMutations:
    """What can be done to jobs."""

    @mutation(scoped(Scope.RENDERS_WRITE), JobFace, refuses=(JobAlreadyEnded,))
    async def cancel_job(
        self, info: Info, input: Annotated[CancelJobInput, strawberry.argument(description="Which one.")]
    ) -> Job:
        """Stop a job: a waiting one at once, a running one within a second. Nothing of it is kept.

        A child is stopped with its whole family.
        """
        async with info.context.resources.work() as work:
            job = await work.job(info.context.me, input.id, Right.EDIT)
            (await work.head(job)).cancel(await work.now())
        return job

    @mutation(scoped(Scope.RENDERS_WRITE), JobFace, refuses=(JobNotRetryable, RenderAlreadyActive))
    async def retry_job(
        self, info: Info, input: Annotated[RetryJobInput, strawberry.argument(description="Which one.")]
    ) -> Job:
        """Start a failed or cancelled job over. A child starts over with its whole family: the answer is its head."""
        seen = await visible_job(info, input.id)
        async with info.context.resources.work() as work:
            # The project first: it is what keeps two renders from starting at once.
            await work.project(info.context.me, seen.project_id, Right.EDIT)
            job = await work.head(await work.job(info.context.me, input.id, Right.EDIT))
            if job.kind == JobKind.RENDER and (active := await work.active_render(job.project_id)):
                raise RenderAlreadyActive(job_id=active)
            await work.retry(job)
        return job

    @mutation(scoped(Scope.RENDERS_WRITE), JobFace, refuses=(InvalidInput, IdempotencyKeyReused))
    async def start_pause(
        self, info: Info, input: Annotated[StartPauseInput, strawberry.argument(description="How long, and where.")]
    ) -> Job:
        """Start a job that only takes time, to try out a deployment's queue, workers and live updates."""
        if not 0 < input.seconds <= LONGEST_PAUSE:
            raise InvalidInput(path="seconds", problem=f"it must be more than 0 and at most {LONGEST_PAUSE:g}")
        if not 0 <= input.parts <= MOST_PARTS:
            raise InvalidInput(path="parts", problem=f"it must be between 0 and {MOST_PARTS}")
        order = Order(
            spec=PauseSpec(seconds=input.seconds, slots=input.pool.value, parts=input.parts),
            project_id=input.project_id,
            user_id=info.context.me.user_id,
            idempotency_key=input.idempotency_key,
            priority=input.priority,
            not_before=input.not_before,
        )
        async with info.context.resources.work() as work:
            project = await work.project(info.context.me, input.project_id, Right.EDIT)
            if made := await job_with_key(work, project.id, input.idempotency_key):
                return same_request(made, order)
            return await work.place(order)


@strawberry.type
class JobSubscriptions:
    """What can be watched of jobs."""

    @subscription(signed_in, JobFace)
    async def job(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Which one.")],
        min_interval_ms: Annotated[
            int,
            strawberry.argument(
                description="At most one state in so many milliseconds, up to a minute; the first and the last at once."
            ),
        ] = 0,
    ) -> State[Job]:
        """The job as it is now, then each newer state in order; completes behind the one in which the job ends."""
        if not 0 <= min_interval_ms <= LONGEST_INTERVAL_MS:
            raise InvalidInput(path="minIntervalMs", problem=f"it must be between 0 and {LONGEST_INTERVAL_MS}")
        return await info.context.hub.job(id, info.context.me, every=min_interval_ms / 1000)
