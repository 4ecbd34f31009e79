"""Examine an uploaded file: what it is, and whether it is what it claims to be."""

from domain.asset import Asset
from domain.job import Job, Progress
from domain.kinds import IngestSpec
from domain.stored import StoredObject
from persistence.work import Work
from tasks.lease import Done, JobFailed, Lease
from tasks.probe import MediaRejected, probe


async def ingest(lease: Lease, spec: IngestSpec) -> Done:
    """Probe the file in a sandbox; accept the asset, or fail for good with the reason."""
    resources = lease.resources
    lease.report(Progress(stage="fetching"))
    asset = await lease.row(Asset, spec.asset_id)
    stored = await lease.row(StoredObject, asset.object_id)
    path = lease.folder / "original"
    await resources.storage.fetch(stored.key, path)
    lease.report(Progress(stage="probing", fraction=0.1))
    try:
        facts = await probe(
            path,
            claimed_content_type=asset.content_type,
            filename=asset.name,
            max_pixels=resources.settings.max_pixels,
        )
    except MediaRejected as rejected:
        raise JobFailed("MEDIA_REJECTED", str(rejected), hopeless=True) from rejected

    async def accept(work: Work, _job: Job) -> None:
        if found := await work.locked(Asset, asset.id):
            found.accept(facts)

    return Done(result=facts.to_json(), store=accept)
