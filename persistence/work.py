"""One transaction of decisions: loads that lock or refuse, and after the commit the bells and wake-ups by themselves.

What to ring, whom to wake, what to tell the project's log and what becomes of a job's family are derived from the
flush, so that nobody can forget them. Locks are taken in one order, which is what keeps two transactions from waiting
for each other: project, schedule, job (parents before their children), upload, asset, membership, user, piece, stored
object, and the log's counter last of all. Skip what you do not need.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    String,
    any_,
    bindparam,
    delete,
    event,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, undefer

from domain.asset import Asset, AssetState
from domain.attempt import Failure
from domain.entity import Base, Entity
from domain.event import Happening, added, changed, removed
from domain.job import ENDED, Job, JobState, Terms
from domain.kinds import SPECS, JobKind, Pool, RenderBatchSpec, RenderSpec
from domain.media import MediaFacts
from domain.membership import Membership
from domain.order import Child, JobPayload, Order
from domain.piece import Piece
from domain.project import Project
from domain.refusals import NotFound
from domain.stored import StoredObject
from domain.timeline_version import MOST_BYTES, MOST_VERSIONS, TimelineVersion
from domain.upload import Upload
from domain.user import User
from domain.viewer import Right, Role, Viewer
from persistence import line
from persistence.reads import active_render

E = TypeVar("E", bound=Entity)
InProject = TypeVar("InProject", Asset, Job, Upload)


def log_topic(project_id: str) -> str:
    """The bell of a project's log; an entity's own bell is its id."""
    return f"log:{project_id}"


def stop_topic(worker: str) -> str:
    """The bell that tells a worker to ask at once which of its jobs are to stop."""
    return f"stop:{worker}"


class Work:
    """A transaction in progress. Every load of something that is somebody's takes the viewer who asks."""

    def __init__(self, session: AsyncSession) -> None:
        """Be told of what the session flushes."""
        self.session = session
        session.sync_session.info[Work] = self
        self._now: datetime | None = None
        self.rings: set[str] = set()
        self.wakes = Counter[Pool]()
        self._happened: list[Happening] = []
        self._jobs: set[Job] = set()
        """All that were changed."""
        self._changed: set[Job] = set()
        """Those of them whose kin have not followed yet."""

    # Loads that lock, or refuse

    async def project(self, viewer: Viewer, project_id: str, right: Right) -> Project:
        """The project, locked: nothing in it starts or is added meanwhile."""
        project = await self.locked(Project, project_id)
        role = await self.role(viewer.user_id, project_id)
        if project is None or not viewer.sees(role):
            raise NotFound(what="project", id=project_id)
        viewer.needs(right, role)
        return project

    async def job(self, viewer: Viewer, job_id: str, right: Right) -> Job:
        """The job, locked, and those above it in its family."""
        above = select(Job.root_id, Job.parent_id).where(Job.id == job_id)
        for root_id, parent_id in await self.session.execute(above):
            await self._lock_above(root_id, parent_id)
        return await self._in_project(Job, viewer, job_id, right)

    async def head(self, job: Job) -> Job:
        """The head of a locked job's family: itself, if it has no parent."""
        return await self.session.get_one(Job, job.root_id or job.id)

    async def kin(self, job_id: str, root_id: str | None, parent_id: str | None) -> Job | None:
        """The job, locked together with those above it, whose ids never change."""
        await self._lock_above(root_id, parent_id)
        return await self.locked(Job, job_id)

    async def _lock_above(self, root_id: str | None, parent_id: str | None) -> None:
        for each in dict.fromkeys((root_id, parent_id)):
            if each is not None:
                await self.locked(Job, each)

    async def asset(self, viewer: Viewer, asset_id: str, right: Right) -> Asset:
        """The asset, locked."""
        return await self._in_project(Asset, viewer, asset_id, right)

    async def upload(self, viewer: Viewer, upload_id: str, right: Right) -> Upload:
        """The upload, locked."""
        return await self._in_project(Upload, viewer, upload_id, right)

    async def user(self, user_id: str) -> User:
        """The user, locked."""
        user = await self.locked(User, user_id)
        if user is None:
            raise NotFound(what="user", id=user_id)
        return user

    async def membership(self, project_id: str, user_id: str) -> Membership | None:
        """The user's membership, locked, if there is one."""
        query = select(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id)
        return await self.session.scalar(query.with_for_update())

    async def role(self, user_id: str, project_id: str) -> Role | None:
        """What the user is in the project."""
        return await self.session.scalar(_ROLE, {"project_id": project_id, "user_id": user_id})

    async def locked(self, entity: type[E], entity_id: str) -> E | None:
        """The row as it is now, locked against other changes (not against references to it)."""
        row = (await self.session.execute(_locking(entity), {"id": entity_id})).one_or_none()
        if row is None:
            return None
        found, now = row
        self._now = self._now or now
        return found

    async def _in_project(self, entity: type[InProject], viewer: Viewer, entity_id: str, right: Right) -> InProject:
        kind = entity.__name__.lower()
        found = await self.locked(entity, entity_id)
        role = await self.role(viewer.user_id, found.project_id) if found else None
        if found is None or not viewer.sees(role):
            raise NotFound(what=kind, id=entity_id)
        viewer.needs(right, role)
        return found

    async def claim(
        self,
        pool: Pool,
        kinds: Collection[JobKind],
        *,
        worker: str,
        terms: Terms,
        caps: line.Caps,
        suspects: bool,
        most: int,
    ) -> list[tuple[Job, dict[str, Any]]]:
        """Take the next jobs of the pool, at most so many, each with what it is asked."""
        taken: list[tuple[Job, dict[str, Any]]] = []
        while len(taken) < most:
            # A suspect is taken by itself; and where caps hold, each claim must see the one before.
            one_by_one = suspects or caps != line.Caps()
            query = line.next_claims(
                pool, frozenset(kinds), caps, suspects=suspects, most=1 if one_by_one else most - len(taken)
            )
            with self.session.no_autoflush:  # what else is changed is nothing that can be claimed
                found = (await self.session.execute(query)).all()
            for job, asked, now in found:
                self._now = self._now or now
                if await self._capped(caps, job):
                    return taken  # those behind it may go on: look again
                alone = job.is_suspect
                job.claim(worker, now, terms)
                taken.append((job, asked))
                if alone:
                    return taken
                suspects = False  # they need an idle worker, and this one is no longer
            if not (found and one_by_one) or len(taken) == most:
                break
            await self.session.flush()
        return taken

    async def _capped(self, caps: line.Caps, job: Job) -> bool:
        """Whether its user or project is full: counted once more, while nobody else counts."""
        full = line.over(caps, job)
        if full is None:
            return False
        for each in (job.project_id, job.user_id):
            # Not waited for: two who claim several jobs each could wait for one another.
            alone = func.pg_try_advisory_xact_lock(func.hashtextextended(f"cap {each}", 0))
            if not await self.session.scalar(select(alone)):
                return True
        return await self.session.scalar(select(full)) is True

    # Facts for decisions

    async def now(self) -> datetime:
        """The database's clock, the only one that every process shares: as it stood when something was first locked."""
        now = self._now or (await self.session.scalars(select(func.clock_timestamp()))).one()
        self._now = now
        return now

    async def facts(self, project_id: str, asset_ids: Iterable[str]) -> dict[str, MediaFacts | None]:
        """What is known of these assets of the project; those that are not there are left out."""
        among = any_(literal(sorted(set(asset_ids)), ARRAY(String)))  # one parameter, however many there are
        query = select(Asset.id, Asset.media).where(Asset.project_id == project_id, Asset.id == among)
        rows = (await self.session.execute(query)).all()
        return {asset_id: MediaFacts.from_json(media) if media else None for asset_id, media in rows}

    async def timeline_version(self, project_id: str, number: int) -> TimelineVersion | None:
        """A timeline that the project has had, with all that is in it; None if it never was, or is forgotten."""
        query = select(TimelineVersion).options(undefer(TimelineVersion.timeline_json))
        where = (TimelineVersion.project_id == project_id, TimelineVersion.number == number)
        return await self.session.scalar(query.where(*where))

    async def active_render(self, project_id: str) -> str | None:
        """The id of the render that has not ended in a locked project."""
        query = select(Job.id).where(Job.project_id == project_id, *active_render())
        return await self.session.scalar(query)

    async def uploads_of(self, asset_id: str) -> list[Upload]:
        """The uploads that became the asset, locked."""
        query = select(Upload).where(Upload.asset_id == asset_id).with_for_update(key_share=True)
        return list((await self.session.scalars(query)).all())

    async def job_that_needs(self, asset: Asset) -> str | None:
        """The id of a job that has not ended and would miss the asset; all such jobs of its project are locked."""
        for job in await self.active_jobs(asset.project_id):
            if job.asset_id == asset.id and job.kind != JobKind.PREPARE:  # that one is for the asset's sake only
                return job.id
            # What the renders of a batch need, the batch needs.
            if job.kind in {JobKind.RENDER, JobKind.RENDER_BATCH} and job.parent_id is None:
                spec = SPECS[job.kind].from_json((await self.payload(job.id)).spec)
                if isinstance(spec, RenderSpec | RenderBatchSpec) and asset.id in spec.asset_ids:
                    return job.id
        return None

    async def active_jobs(self, project_id: str) -> list[Job]:
        """The project's jobs that have not ended, locked."""
        return await self._active(Job.project_id == project_id)

    async def _active(self, where: ColumnElement[bool]) -> list[Job]:
        """Jobs that have not ended, locked from the heads of families down."""
        query = select(Job).where(where, Job.state.not_in(ENDED))
        query = query.order_by(Job.root_id.is_not(None), Job.parent_id != Job.root_id, Job.id)
        found = await self.session.scalars(query.with_for_update(key_share=True))
        return list(found.all())

    # Changes

    def add(self, *entities: Base) -> None:
        """Keep new rows."""
        self.session.add_all(entities)

    async def place(self, order: Order) -> Job:
        """Keep a new job."""
        job, payload = order.place(await self.now())
        await self._keep([(job, payload)])
        return job

    async def fork(self, job: Job, token: str, children: Sequence[Child], *, stage: str, share: float) -> None:
        """Let a job of ours go on by its children."""
        now = await self.now()
        job.fork(token, now, stage=stage, share=share)
        await self._keep([child.place(job, number, now) for number, child in enumerate(children)])
        if not children:
            job.children_ended(now)

    async def _keep(self, made: Sequence[tuple[Job, JobPayload]]) -> None:
        await line.line_up(self.session, [job for job, _ in made])
        self.session.add_all(job for job, _ in made)
        await self.session.flush()
        beside = [{"job_id": payload.job_id, "spec": payload.spec} for _, payload in made]
        if beside:
            await self.session.execute(_KEEP_SPECS, beside)

    async def retry(self, job: Job) -> None:
        """Let the locked head of a family start over, without the children it had, but for those that stand alone."""
        job.retry(await self.now())
        await line.line_up(self.session, [job])  # before it is flushed: one change of the row, not two
        going = Job.parent_id == job.id
        if job.children_stand_alone:
            going &= Job.state != JobState.COMPLETED
        await self.session.execute(delete(Job).where(going))

    async def keep_result(self, job: Job, result: dict[str, Any]) -> None:
        """Note what came of the locked job."""
        await self.session.execute(_KEEP_RESULT, {"id": job.id, "kept": result})

    async def payload(self, job_id: str) -> JobPayload:
        """What lies beside the job."""
        return await self.session.get_one(JobPayload, job_id)

    async def doom(self, object_id: str) -> None:
        """Let the sweeper remove a stored object."""
        if stored := await self.locked(StoredObject, object_id):
            stored.doom(await self.now())

    async def keep_timeline(self, version: TimelineVersion) -> None:
        """Keep a new version of a locked project's timeline, and forget the oldest: of too many, or too large ones."""
        self.add(version)
        await self.session.flush()
        size = func.pg_column_size(TimelineVersion.timeline_json)  # as it is stored: nothing large is read for it
        newest_first = TimelineVersion.number.desc()
        of_it = select(
            TimelineVersion.id,
            TimelineVersion.number,
            func.sum(size).over(order_by=newest_first).label("size"),
        ).where(TimelineVersion.project_id == version.project_id)
        each = of_it.subquery()
        old = (each.c.number <= version.number - MOST_VERSIONS) | (each.c.size > MOST_BYTES)
        forgotten = delete(TimelineVersion).where(
            TimelineVersion.id.in_(select(each.c.id).where(old, each.c.number < version.number))
        )
        await self.session.execute(forgotten.execution_options(synchronize_session=False))

    async def delete(self, entity: Base) -> None:
        """Remove the row."""
        await self.session.delete(entity)

    async def remove_pieces(self, going: Select[str]) -> int:
        """Remove the pieces of these objects, which the query locks, and doom the objects. Returns how many.

        In bulk, unlike all else: there may be thousands, and nobody is to hear of it.
        """
        ids = (await self.session.scalars(going)).all()
        gone = any_(literal(ids, ARRAY(String)))
        for each in (
            delete(Piece).where(Piece.object_id == gone),
            update(StoredObject).where(StoredObject.id == gone).values(doomed_at=await self.now()),
        ):
            await self.session.execute(each.execution_options(synchronize_session=False))
        return len(ids)

    async def delete_asset(self, asset: Asset) -> None:
        """Remove a locked asset that no job needs, with the pieces that are its own.

        Where another asset of the project has the same bytes, the pieces are that one's from then on.
        """
        for job in await self._active((Job.kind == JobKind.PREPARE) & (Job.asset_id == asset.id)):
            job.cancel(await self.now())
        # From here on nobody adds a piece to it.
        await self.session.execute(select(Asset.id).where(Asset.id == asset.id).with_for_update())
        own = select(Piece.object_id).where(Piece.asset_id == asset.id).order_by(Piece.key).with_for_update()
        if heir := await self._twin(asset):
            ids = (await self.session.scalars(own)).all()
            inherited = update(Piece).where(Piece.object_id.in_(ids)).values(asset_id=heir)
            await self.session.execute(inherited.execution_options(synchronize_session=False))
        else:
            await self.remove_pieces(own)
        for object_id in filter(None, (asset.object_id, asset.poster_id)):
            await self.doom(object_id)
        await self.delete(asset)

    async def _twin(self, asset: Asset) -> str | None:
        """The id of another asset of the project with the same bytes; it is there until we are done."""
        twins = select(Asset.id).where(
            Asset.project_id == asset.project_id,
            Asset.sha256 == asset.sha256,
            Asset.id != asset.id,
            Asset.state != AssetState.REJECTED,
        )
        # Skipped, not waited for, is one that is being deleted: its transaction may want to leave its pieces to ours.
        locked = twins.order_by(Asset.id).limit(1).with_for_update(read=True, key_share=True, skip_locked=True)
        return await self.session.scalar(locked)

    async def delete_project(self, project: Project) -> None:
        """Remove a locked project with all that is in it: jobs are cancelled, objects doomed, then rows go."""
        now = await self.now()
        for job in await self.active_jobs(project.id):
            job.cancel(now)
            self.rings.add(job.id)
        # Whoever writes to the log holds one of these rows, so nobody is in the middle of that when the log goes.
        inside: tuple[InstrumentedAttribute[str], ...] = (Upload.project_id, Asset.project_id, Membership.project_id)
        for column in inside:
            await self.session.execute(select(column).where(column == project.id).with_for_update())
        # And nobody keeps a piece, whose object would not be among those that are doomed.
        await self.session.execute(select(Project.id).where(Project.id == project.id).with_for_update())
        pieces = select(Piece.key).where(Piece.project_id == project.id).order_by(Piece.key)
        await self.session.execute(pieces.with_for_update())
        self.rings |= {project.id, log_topic(project.id)}
        await self.session.execute(
            update(StoredObject)
            .where(StoredObject.project_id == project.id, StoredObject.doomed_at.is_(None))
            .values(doomed_at=now)
        )
        await self.session.flush()
        self._happened = [told for told in self._happened if told.project_id != project.id]
        await self.session.execute(delete(Project).where(Project.id == project.id))

    # What the commit tells

    def flushes(self, session: Session) -> None:
        """Take note of what is about to be written."""
        for entity in session.new:
            self._happened.extend(added(entity))
            self._note(entity)
        for entity in session.dirty:
            state = inspect(entity)
            attributes = state.attrs
            # Of those that were set at all, the ones that are other than before.
            fields = {key for key in state.committed_state if attributes[key].history.has_changes()}
            if fields:
                self._happened.extend(changed(entity, fields))
                self._note(entity)
        for entity in session.deleted:
            self._happened.extend(removed(entity))
            self._note(entity)

    def _note(self, entity: object) -> None:
        if isinstance(entity, Entity):
            self.rings.add(entity.id)
        if isinstance(entity, Job):
            self.add(*entity.ended_attempts)
            entity.ended_attempts.clear()
            self._jobs.add(entity)
            self._changed.add(entity)
            if entity.in_line:
                self.wakes[entity.pool] += 1
            if entity.cancel_requested and entity.token and entity.worker:
                self.rings.add(stop_topic(entity.worker))

    async def close(self) -> None:
        """Flush, write the log, commit."""
        jobs = (*self.session.new, *self.session.dirty, *self._jobs)
        await line.line_up(self.session, {each.id: each for each in jobs if isinstance(each, Job)}.values())
        await self.session.flush()
        await self._follow_families()
        await self._follow_ingests()
        if self._happened:
            await self._tell(self._happened)
        await self.session.commit()

    async def _follow_families(self) -> None:
        """Cancel the children of who is to stop, and let parents go on, or end, whose last child has ended."""
        while self._changed:
            changed, self._changed = self._changed, set()
            if not any(map(_has_kin, changed)):
                return
            now = await self.now()
            for job in changed:
                if job.waits_for_children and (job.cancel_requested or job.error_code):
                    for child in await self._active(Job.parent_id == job.id):
                        child.cancel(now)
            ended = [job for job in changed if job.parent_id and job.state.ended]
            # One word to each parent, and of those that say why it must fail.
            for child in {job.parent_id: job for job in sorted(ended, key=_failed)}.values():
                await self._tell_parent(child)
            await self.session.flush()

    async def _tell_parent(self, child: Job) -> None:
        parent = await self.locked(Job, child.parent_id or "")
        if parent is None or not parent.waits_for_children:
            return
        if child.state == JobState.FAILED and not parent.children_stand_alone:
            parent.child_failed(Failure(code=child.error_code or "", message=child.error_message or ""))
            await self.session.flush()
        left = select(Job.id).where(Job.parent_id == parent.id, Job.state.in_([JobState.QUEUED, JobState.PROCESSING]))
        if await self.session.scalar(left.limit(1)) is None:
            parent.children_ended(await self.now())

    async def _follow_ingests(self) -> None:
        """An asset shares the fate of the job that examines it, wherever that was decided."""
        ingests = [(job, job.asset_id) for job in self._jobs if job.kind == JobKind.INGEST and job.asset_id]
        for job, asset_id in ingests:
            asset = await self.locked(Asset, asset_id)
            if asset is None or asset.state == AssetState.READY:
                continue
            if job.state in {JobState.FAILED, JobState.CANCELLED} and asset.state == AssetState.PROCESSING:
                asset.reject(job.error_message or "Its examination was cancelled; retry the job to examine it.")
            elif job.state == JobState.QUEUED and asset.state == AssetState.REJECTED:
                asset.examine_again()
        if ingests:
            await self.session.flush()

    async def _tell(self, happened: list[Happening]) -> None:
        projects, kinds, subjects = zip(*happened, strict=True)
        await self.session.execute(_TELL, {"projects": projects, "kinds": kinds, "subjects": subjects})
        self.rings |= {log_topic(project_id) for project_id in projects}


_PAYLOADS = JobPayload.metadata.tables[JobPayload.__tablename__]
_KEEP_SPECS = insert(_PAYLOADS)
_KEEP_RESULT = update(_PAYLOADS).where(_PAYLOADS.c.job_id == bindparam("id")).values(result=bindparam("kept"))
_TELL = text(
    """
    WITH entries AS (
        SELECT *, row_number() OVER (PARTITION BY project_id ORDER BY place) AS number
        FROM unnest(:projects, :kinds, :subjects) WITH ORDINALITY AS entry (project_id, kind, subject_id, place)
    ), counted AS (
        INSERT INTO project_logs AS log (project_id, last_seq)
        SELECT project_id, count(*) FROM entries GROUP BY project_id ORDER BY project_id
        ON CONFLICT (project_id) DO UPDATE SET last_seq = log.last_seq + excluded.last_seq
        RETURNING log.project_id, log.last_seq
    )
    INSERT INTO project_events (project_id, seq, kind, subject_id)
    SELECT project_id, last_seq - count(*) OVER (PARTITION BY project_id) + number, kind, subject_id
    FROM entries JOIN counted USING (project_id)
    """
).bindparams(*(bindparam(name, type_=ARRAY(String)) for name in ("projects", "kinds", "subjects")))
"""Count and write in one statement: whoever changes a project waits for its counter, and all go by their order."""


_ROLE = select(Membership.role).where(
    Membership.project_id == bindparam("project_id"), Membership.user_id == bindparam("user_id")
)


@cache
def _locking(entity: type[Entity]) -> Select[Any, datetime]:
    # Built once: what SQLAlchemy needs to put a statement together is a good part of what it costs. The clock is read
    # outside, and so when the lock is there.
    row = select(entity).where(entity.id == bindparam("id")).with_for_update(key_share=True).subquery()
    query = select(aliased(entity, row), func.clock_timestamp())
    return query.execution_options(populate_existing=True)


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: Any, _instances: Any) -> None:
    # For all sessions: to hang a listener on each costs more than to ask each whose it is.
    work: Work | None = session.info.get(Work)
    if work:
        work.flushes(session)


def _failed(job: Job) -> bool:
    return job.state == JobState.FAILED


def _has_kin(job: Job) -> bool:
    return job.waits_for_children or (job.parent_id is not None and job.state.ended)


@asynccontextmanager
async def transaction(session: AsyncSession) -> AsyncGenerator[Work]:
    """Run one transaction: commit at the end of the block, roll back when it raises."""
    async with session:
        work = Work(session)
        yield work
        await work.close()
