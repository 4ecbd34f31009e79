"""What heals: leases that ran out, uploads and objects that nobody finished, doomed objects.

Every worker sweeps; rows are taken with SKIP LOCKED, so that sweepers share the work instead of repeating it.
"""

import asyncio
import logging
import shutil
from datetime import timedelta

from sqlalchemy import delete, func, select

from domain.job import Job, JobState
from domain.stored import StoredObject
from domain.upload import Upload, UploadState
from persistence.accounts import forget_what_is_over
from persistence.resources import Resources
from persistence.storage import PendingUpload
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
    """Remove doomed objects from storage, then from the ledger: in this order, so that a crash forgets none."""
    query = select(StoredObject).where(StoredObject.doomed_at.is_not(None)).limit(BATCH)
    async with resources.work() as work:
        doomed = (await work.session.scalars(query.with_for_update(skip_locked=True))).all()
        for each in doomed:
            if each.upload_handle:
                await resources.storage.discard_upload(PendingUpload(key=each.key, handle=each.upload_handle))
            await resources.storage.delete(each.key)
        if doomed:
            await work.session.execute(delete(StoredObject).where(StoredObject.id.in_([each.id for each in doomed])))
    return len(doomed)


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
    """All that concerns uploads and objects, until nothing is left to do."""
    for heal in (expired_uploads, abandoned_objects, doomed_objects):
        while await heal(resources) == BATCH:
            pass
    await forgotten_folders(resources)
    await resources.storage.sweep(older_than=_ABANDONED_AFTER)
