"""Examine an uploaded file: what it is, and whether it is what it claims to be."""

from domain.asset import Asset
from domain.asset_text import AssetText
from domain.attempt import Progress
from domain.job import Job, Priority
from domain.kinds import IngestSpec, PrepareSpec
from domain.media import MediaKind
from domain.order import Order
from persistence.work import Work
from tasks.lease import Done, JobFailed, Lease
from tasks.originals import fetched
from tasks.probe import MediaRejected, probe
from tasks.text_assets import read_text_asset


async def ingest(lease: Lease, spec: IngestSpec) -> Done:
    """Probe the file in a sandbox; accept the asset, or fail for good with the reason."""
    lease.report(Progress(stage="fetching"))
    path = lease.folder / "original"
    asset = await fetched(lease, spec.asset_id, path)
    lease.report(Progress(stage="probing", fraction=0.1))
    try:
        claims = {"claimed_content_type": asset.content_type, "filename": asset.name}
        read = await read_text_asset(path, **claims)
        facts = read[0] if read else await probe(path, **claims, max_pixels=lease.resources.settings.max_pixels)
    except MediaRejected as rejected:
        raise JobFailed("MEDIA_REJECTED", str(rejected), hopeless=True) from rejected

    async def accept(work: Work, job: Job) -> None:
        if found := await work.locked(Asset, asset.id):
            found.accept(facts)
            if read and read[1]:
                work.add(AssetText(asset_id=asset.id, text=read[1]))
            if facts.kind is MediaKind.VIDEO or facts.has_sound:
                # For nobody's wait: the asset is ready now. A render that is asked for meanwhile comes first.
                await work.place(
                    Order(
                        spec=PrepareSpec(asset_id=asset.id),
                        project_id=job.project_id,
                        user_id=job.user_id,
                        asset_id=asset.id,
                        priority=Priority.LOW,
                    )
                )

    return Done(result=facts.to_json(), store=accept)
