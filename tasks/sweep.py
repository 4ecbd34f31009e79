"""What heals: leases that ran out, uploads and objects that nobody finished, doomed objects, caches that are full.

Every worker sweeps; rows are taken with SKIP LOCKED, so that sweepers share the work instead of repeating it.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import aliased

from domain.attempt import Failure
from domain.job import ENDED, Job, JobState
from domain.kinds import JobKind
from domain.stored import StoredObject
from domain.upload import Upload, UploadState
from persistence import line, pieces
from persistence.accounts import forget_what_is_over
from persistence.database import OUTAGE, will_pass
from persistence.queues import forget_silent_workers
from persistence.resources import Resources
from persistence.storage import PendingUpload, Storage
from persistence.tables import owners_of_objects
from persistence.work import Work
from tasks.lease import attempt_name, attempts_folder
from tasks.originals import unused_originals

logger = logging.getLogger(__name__)

BATCH = 100
_ABANDONED_AFTER = timedelta(hours=24)
_PREVIEWS_KEPT_FOR = timedelta(hours=1)
_OVERDUE_GRACE = timedelta(seconds=30)
"""A worker ends an attempt itself when its time is over; this is for those that hang."""


async def expired_leases(resources: Resources) -> int:
    """Take jobs back from workers that have fallen silent; the commit wakes others."""
    return await _each(resources, line.silent(), _lost)


async def overdue_jobs(resources: Resources) -> int:
    """End what has gone on for too long, and whose worker, or children, did not."""
    return await _each(resources, line.overdue(_OVERDUE_GRACE), _overrun)


async def childless_jobs(resources: Resources) -> int:
    """Let parents go on whose children have all ended unheard."""
    return await _each(resources, line.childless(), _go_on)


async def due_jobs(resources: Resources) -> int:
    """Bring jobs into line whose time has come; the commit wakes workers."""
    async with resources.work() as work:
        due = (await work.session.scalars(line.due(BATCH))).all()
        for job in due:
            job.due()
    return len(due)


async def _each(resources: Resources, what: ColumnElement[bool], heal: Callable[[Work, Job], Awaitable[None]]) -> int:
    """Heal each of these jobs in a transaction of its own, locked in the order of its family."""
    query = select(Job.id, Job.root_id, Job.parent_id).where(what).order_by(Job.claimed_at).limit(BATCH)
    async with resources.database.sessions() as session:
        found = (await session.execute(query)).all()
    healed = 0
    for job_id, root_id, parent_id in found:
        try:
            async with resources.work() as work:
                job = await work.kin(job_id, root_id, parent_id)
                # Every worker sweeps: another may have been faster.
                if job and await work.session.scalar(select(Job.id).where(Job.id == job_id, what)):
                    await heal(work, job)
                    healed += 1
        except Exception as error:
            if isinstance(error, OUTAGE) and will_pass(error):
                raise
            logger.exception("job %s cannot be healed", job_id)  # and must not keep others from it
    return healed


async def _lost(work: Work, job: Job) -> None:
    logger.warning("job %s: worker %s fell silent in attempt %d", job.id, job.worker, job.attempt)
    job.lose(await work.now())


async def _overrun(work: Work, job: Job) -> None:
    logger.warning("job %s: attempt %d has taken too long", job.id, job.attempt)
    job.overrun(await work.now())


async def _go_on(work: Work, job: Job) -> None:
    logger.error("job %s: its children have ended, and it was not told", job.id)
    failed = select(Job).where(Job.parent_id == job.id, Job.state == JobState.FAILED).limit(1)
    if child := await work.session.scalar(failed):
        job.child_failed(Failure(code=child.error_code or "", message=child.error_message or ""))
    job.children_ended(await work.now())


async def expired_uploads(resources: Resources) -> int:
    """Close uploads whose time is over."""
    query = select(Upload).where(Upload.state == UploadState.OPEN, Upload.expires_at < func.clock_timestamp())
    async with resources.work() as work:
        late = (await work.session.scalars(query.limit(BATCH).with_for_update(skip_locked=True, key_share=True))).all()
        for upload in late:
            upload.expire()
    return len(late)


async def abandoned_objects(resources: Resources) -> int:
    """Doom what was announced and never stored."""
    query = select(StoredObject).where(
        StoredObject.stored_at.is_(None),
        StoredObject.doomed_at.is_(None),
        StoredObject.expires_at < func.clock_timestamp(),
    )
    async with resources.work() as work:
        found = (await work.session.scalars(query.limit(BATCH).with_for_update(skip_locked=True))).all()
        if found:
            now = await work.now()
            for each in found:
                each.doom(now)
    return len(found)


async def doomed_objects(resources: Resources) -> int:
    """Remove doomed objects from storage, then from the ledger: in this order, so that a crash forgets none.

    One that will not go is put at the end of the line; every worker may be at it, since removing twice is harmless.
    """
    query = select(StoredObject).where(StoredObject.doomed_at.is_not(None)).order_by(StoredObject.doomed_at)
    async with resources.database.sessions() as session:
        doomed = (await session.scalars(query.limit(BATCH))).all()
    gone = [each.id for each in doomed if await _removed(resources.storage, each)]
    async with resources.database.sessions() as session, session.begin():
        await session.execute(delete(StoredObject).where(StoredObject.id.in_(gone)))
        left = update(StoredObject).where(StoredObject.id.in_({each.id for each in doomed} - set(gone)))
        await session.execute(left.values(doomed_at=func.clock_timestamp()))
    return len(gone)


async def _removed(storage: Storage, doomed: StoredObject) -> bool:
    try:
        if doomed.upload_handle:
            await storage.discard_upload(PendingUpload(key=doomed.key, handle=doomed.upload_handle))
        await storage.delete(doomed.key)
    except Exception as error:  # noqa: BLE001 - one that stays must not keep the others
        logger.warning("%s could not be removed yet: %s", doomed.key, error)
        return False
    return True


async def full_caches(resources: Resources) -> None:
    """Remove what was not used for longest where projects keep more pieces than they may."""
    cap_bytes = resources.settings.render_cache_bytes
    for project_id in await pieces.over_the_cap(resources.database, cap_bytes):
        removed = pieces.MOST_AT_ONCE
        while removed == pieces.MOST_AT_ONCE:
            async with resources.work() as work:
                removed = await pieces.make_room(work, project_id, cap_bytes)


async def orphaned_objects(resources: Resources) -> int:
    """Doom what was stored and is nobody's: there should be none, but each would be paid for for ever."""
    nobodys = [~exists().where(owner == StoredObject.id) for owner in owners_of_objects()]
    query = select(StoredObject).where(
        StoredObject.stored_at < func.now() - _ABANDONED_AFTER, StoredObject.doomed_at.is_(None), *nobodys
    )
    async with resources.work() as work:
        found = (await work.session.scalars(query.limit(BATCH).with_for_update(skip_locked=True))).all()
        for each in found:
            logger.error("%s is in storage, and nothing refers to it", each.key)
            each.doom(await work.now())
    return len(found)


async def old_previews(resources: Resources) -> int:
    """Forget previews that ended a while ago: what they made is found by its key, and there may be very many."""
    later = aliased(Job)
    # The last one taken stays: from its turn on the next ones are counted.
    taken = exists().where(
        later.pool == Job.pool, later.priority == Job.priority, later.turn > Job.turn, later.attempt > 0
    )
    old = select(Job.id).where(
        Job.kind == JobKind.PREVIEW,
        Job.state.in_(ENDED),
        Job.ended_at < func.now() - _PREVIEWS_KEPT_FOR,
        Job.turn.is_(None) | taken,
    )
    async with resources.database.sessions() as session, session.begin():
        going = (await session.scalars(old.limit(BATCH).with_for_update(skip_locked=True))).all()
        await session.execute(delete(Job).where(Job.id.in_(going)))
    return len(going)


async def forgotten_folders(resources: Resources) -> int:
    """Remove the folders of attempts that are over: their workers were killed before they could."""
    jobs = attempts_folder(resources.settings)
    names = await asyncio.to_thread(lambda: [path.name for path in jobs.iterdir()] if jobs.is_dir() else [])
    if not names:
        return 0
    query = select(Job.id, Job.attempt).where(
        Job.id.in_({name.partition("-")[0] for name in names}), Job.state == JobState.PROCESSING
    )
    async with resources.database.sessions() as session:
        at_work = {attempt_name(job_id, attempt) for job_id, attempt in await session.execute(query)}
    forgotten = [name for name in names if name not in at_work]
    for name in forgotten:
        await asyncio.to_thread(shutil.rmtree, jobs / name, ignore_errors=True)
    return len(forgotten)


async def ended_sign_ins(resources: Resources) -> None:
    """Forget sessions, grants, codes and tokens that are over."""
    async with resources.database.sessions() as session, session.begin():
        await forget_what_is_over(session)


async def heal(resources: Resources) -> None:
    """All that can wait a few seconds, until nothing is left to do; what fails does not stop the others."""
    await _all_of(
        resources,
        (
            *(overdue_jobs, childless_jobs, expired_uploads, abandoned_objects, doomed_objects, forgotten_folders),
            unused_originals,  # after the folders of jobs that are over, which used some
        ),
    )


async def _all_of(resources: Resources, steps: Iterable[Callable[[Resources], Awaitable[int]]]) -> None:
    for step in steps:
        try:
            while await step(resources) == BATCH:
                pass
        except Exception as error:  # noqa: BLE001 - it is told, and the next sweep comes
            logger.warning("%s: %s", step.__name__, error)


async def tidy(resources: Resources) -> None:
    """What needs doing seldom: it looks at everything."""
    await ended_sign_ins(resources)
    await forget_silent_workers(resources.database)
    await full_caches(resources)
    await _all_of(resources, (orphaned_objects, old_previews))
    await resources.storage.sweep(older_than=_ABANDONED_AFTER)
