"""What heals: leases that ran out, uploads and objects that nobody finished, doomed objects.

Every worker sweeps; rows are taken with SKIP LOCKED, so that sweepers share the work instead of repeating it.
"""

import asyncio
import logging
import shutil
from datetime import timedelta

from sqlalchemy import delete, func, select, update

from domain.job import Job, JobState
from domain.stored import StoredObject
from domain.upload import Upload, UploadState
from persistence.accounts import forget_what_is_over
from persistence.resources import Resources
from persistence.storage import PendingUpload, Storage
from tasks.lease import attempt_name, attempts_folder

logger = logging.getLogger(__name__)

BATCH = 100
_ABANDONED_AFTER = timedelta(hours=24)


async def expired_leases(resources: Resources) -> int:
    """Take jobs back from workers that have fallen silent; the commit wakes others."""
    query = select(Job).where(Job.state == JobState.PROCESSING, Job.lease_expires_at < func.clock_timestamp())
    async with resources.work() as work:
        lost = (await work.session.scalars(query.limit(BATCH).with_for_update(skip_locked=True, key_share=True))).all()
        if lost:
            now = await work.now()
            for job in lost:
                logger.warning("job %s: worker %s fell silent in attempt %d", job.id, job.worker, job.attempt)
                job.lose(now)
    return len(lost)


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


async def sweep_storage(resources: Resources) -> None:
    """All that concerns uploads and objects, until nothing is left to do; what fails does not stop the others."""
    for heal in (expired_uploads, abandoned_objects, doomed_objects, forgotten_folders):
        try:
            while await heal(resources) == BATCH:
                pass
        except Exception as error:  # noqa: BLE001 - it is told, and the next sweep comes
            logger.warning("%s: %s", heal.__name__, error)


async def tidy(resources: Resources) -> None:
    """What needs doing seldom: it looks at everything."""
    await ended_sign_ins(resources)
    await resources.storage.sweep(older_than=_ABANDONED_AFTER)
