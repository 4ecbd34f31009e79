"""Examine an uploaded file: what it is, and whether it is what it claims to be."""

from domain.asset import Asset
from domain.attempt import Progress
from domain.job import Job
from domain.kinds import IngestSpec
from persistence.work import Work
from tasks.lease import Done, JobFailed, Lease
from tasks.probe import MediaRejected, probe
from tasks.sources import fetched


async def ingest(lease: Lease, spec: IngestSpec) -> Done:
    """Probe the file in a sandbox; accept the asset, or fail for good with the reason."""
    lease.report(Progress(stage="fetching"))
    path = lease.folder / "original"
    asset = await fetched(lease, spec.asset_id, path)
    lease.report(Progress(stage="probing", fraction=0.1))
    try:
        facts = await probe(
            path,
            claimed_content_type=asset.content_type,
            filename=asset.name,
            max_pixels=lease.resources.settings.max_pixels,
        )
    except MediaRejected as rejected:
        raise JobFailed("MEDIA_REJECTED", str(rejected), hopeless=True) from rejected

    async def accept(work: Work, _job: Job) -> None:
        if found := await work.locked(Asset, asset.id):
            found.accept(facts)

    return Done(result=facts.to_json(), store=accept)
