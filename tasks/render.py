"""Make a video of a timeline: fetch the originals, encode, verify, publish."""

import asyncio
from datetime import timedelta
from pathlib import Path

from domain.asset import Asset, AssetState
from domain.attempt import Progress
from domain.entity import new_id
from domain.job import Job
from domain.kinds import RenderSpec
from domain.media import MediaFacts
from domain.render import Output, Plan, Source, compile_plan, mismatches
from domain.stored import StoredObject
from domain.timeline import Timeline
from persistence.storage import StorageFullError, StoredFile
from persistence.work import Work
from tasks.ffmpeg import FONT, FfmpegFailed, FfmpegProgress, find_ffmpeg, run_ffmpeg
from tasks.lease import Done, JobFailed, Lease
from tasks.probe import MediaRejected, measure, probe
from tasks.process import Limits
from tasks.sources import fetched

CONTENT_TYPE = "video/mp4"
ANNOUNCED_FOR = timedelta(hours=6)
"""How long a finished video may take to reach storage."""


async def render(lease: Lease, spec: RenderSpec) -> Done:
    """Render in the attempt's own folder; publish only what is as planned, to the frame."""
    timeline, output = Timeline.from_json(spec.timeline), Output.from_json(spec.output)
    sources = await _fetched(lease, timeline)
    plan = compile_plan(timeline, output, sources, font=FONT, max_pixels=lease.resources.settings.max_pixels)
    video = await _encoded(lease, plan)
    lease.report(Progress(stage="verifying", fraction=0.95, frames=plan.frames, total_frames=plan.frames))
    facts = await _verified(plan, video, spec.name)
    lease.report(Progress(stage="publishing", fraction=0.98, frames=plan.frames, total_frames=plan.frames))
    return await _published(lease, spec, video, facts)


async def _fetched(lease: Lease, timeline: Timeline) -> dict[str, Source]:
    """The originals that the timeline uses, as files that ffmpeg can seek in."""
    folder = lease.folder / "sources"
    folder.mkdir()
    sources: dict[str, Source] = {}
    for number, asset_id in enumerate(sorted(timeline.asset_ids)):
        lease.report(Progress(stage="fetching", fraction=0.05 * number / len(timeline.asset_ids)))
        path = folder / asset_id
        asset = await fetched(lease, asset_id, path)
        if asset.facts is None:
            raise JobFailed("ASSET_NOT_READY", f"{asset.name} cannot be used.", hopeless=True)
        sources[asset_id] = Source(path=path, facts=asset.facts)
    return sources


async def _encoded(lease: Lease, plan: Plan) -> Path:
    folder = lease.folder / "output"
    folder.mkdir()
    for name, content in plan.files.items():
        (folder / name).write_text(content, encoding="utf-8")

    def tell(progress: FfmpegProgress) -> None:
        lease.report(
            Progress(
                stage="encoding",
                fraction=0.05 + 0.9 * progress.fraction,
                frames=progress.frame,
                total_frames=plan.frames,
                fps=progress.fps or None,
                speed=progress.speed or None,
                eta_seconds=progress.eta_seconds,
            )
        )

    settings = lease.resources.settings
    lease.report(Progress(stage="encoding", fraction=0.05, frames=0, total_frames=plan.frames))
    try:
        await run_ffmpeg(
            find_ffmpeg(settings.ffmpeg_binary),
            plan.argv,
            folder=folder,
            total_frames=plan.frames,
            on_progress=tell,
            limits=Limits(file_bytes=settings.max_upload_bytes),
        )
    except FfmpegFailed as failed:
        raise JobFailed("FFMPEG_FAILED", str(failed), exit_code=failed.code, tail=failed.tail) from failed
    return folder / plan.result


async def _verified(plan: Plan, video: Path, name: str) -> MediaFacts:
    """What was made, if it is what was planned."""
    pixels = plan.width * plan.height
    try:
        wrong = mismatches(plan, await measure(video, max_pixels=pixels))
        facts = await probe(video, claimed_content_type=CONTENT_TYPE, filename=name, max_pixels=pixels)
    except MediaRejected as rejected:
        raise JobFailed("NOT_AS_PLANNED", str(rejected)) from rejected
    if wrong:
        raise JobFailed("NOT_AS_PLANNED", " ".join(wrong))
    return facts


async def _published(lease: Lease, spec: RenderSpec, video: Path, facts: MediaFacts) -> Done:
    """Put the video into storage; the asset is made together with the job's completion."""
    asset_id = new_id()
    stored = await lease.announce(
        f"projects/{lease.project_id}/assets/{asset_id}/original", CONTENT_TYPE, ANNOUNCED_FOR
    )
    putting = asyncio.ensure_future(lease.resources.storage.put(video, stored.key, content_type=CONTENT_TYPE))
    try:
        file: StoredFile = await asyncio.shield(putting)
    except asyncio.CancelledError:
        # What was stored half-way, or a moment later, must be there before the attempt's traces are removed.
        await asyncio.wait({putting})
        raise
    except StorageFullError as full:
        raise JobFailed("STORAGE_FULL", "The storage has no room for the finished video.") from full

    async def store(work: Work, job: Job) -> str:
        kept = await work.session.get_one(StoredObject, stored.id, with_for_update=True)
        kept.keep(size=file.size, sha256=file.sha256, now=await work.now())
        asset = Asset(
            id=asset_id,
            project_id=job.project_id,
            object_id=stored.id,
            name=spec.name,
            content_type=CONTENT_TYPE,
            size=file.size,
            sha256=file.sha256,
            state=AssetState.READY,
            media=facts.to_json(),
        )
        work.add(asset)
        await work.session.flush()
        return asset_id

    return Done(result={"asset_id": asset_id, "frames": facts.frame_count, "size": file.size}, store=store)
