"""Make a video of a timeline: plan, make what is missing, put it together, verify, publish.

The job forks when there is work for several: each child makes a stretch of pieces, and what is made is kept by its key.
So the job itself may start over at any point, on any worker, and nothing that was made is made again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from domain.asset import Asset, AssetState
from domain.attempt import Progress
from domain.entity import new_id
from domain.ffmpeg.command import Command
from domain.job import Job
from domain.kinds import RenderPartSpec, RenderSpec
from domain.media import MediaFacts
from domain.order import Child
from domain.render.encode import encoders
from domain.render.estimate import MOST_STRETCHES, STRETCH_SECONDS, cost, signature, usual_pace
from domain.render.movie import Movie, NothingToHear, movie
from domain.render.output import Output
from domain.render.spans import stretches
from domain.render.verify import mismatches, verification
from domain.stored import StoredObject
from domain.timeline import Timeline
from persistence import pieces
from persistence.sources import sources
from persistence.storage import StoredFile
from persistence.work import Work
from tasks.ffmpeg import FfmpegProgress, abilities, encodes, find_ffmpeg
from tasks.lease import Done, Fork, JobFailed, Lease
from tasks.probe import MediaRejected, measure, probe
from tasks.workshop import ANNOUNCED_FOR, Workshop, put, tools

MOST_ROUNDS = 4
"""So often the missing pieces are shared out. More than one round is needed only where some vanish meanwhile."""
LONGEST_STRETCH = 50
"""Pieces at most: a child that is lost begins its stretch anew, less what it kept."""


async def render(lease: Lease, spec: RenderSpec) -> Done | Fork:
    """Render; publish only what is as planned, to the frame."""
    plan, output = await planned(lease, spec)
    shop = Workshop(lease)
    missing = await shop.missing(*plan.parts)
    of = signature(output, tools(lease.resources.settings))
    if lease.step < MOST_ROUNDS and (shares := await _shares(lease, missing, output, of)):
        return Fork(children=shares, stage="encoding", share=0.9)
    await _make(lease, shop, missing, of, total=plan.frames)
    lease.report(Progress(stage="assembling", fraction=0.92, frames=plan.frames, total_frames=plan.frames))
    result = (await shop.run(plan.command, lambda _: None)).path
    lease.report(Progress(stage="verifying", fraction=0.94, frames=plan.frames, total_frames=plan.frames))
    try:
        facts, verified = await _verified(lease, plan, output, result, spec.name)
    except JobFailed:
        await shop.forget([each.key for each in plan.pieces])  # whatever of it is wrong must not be used again
        raise
    lease.report(Progress(stage="publishing", fraction=0.97, frames=plan.frames, total_frames=plan.frames))
    poster = (await shop.run(plan.poster, lambda _: None)).path if plan.poster else None
    encoded = await _encoded(lease) + _seen(missing)
    async with lease.resources.work() as work:  # what others have left behind; ours are spared until the job has ended
        await pieces.make_room(work, lease.project_id, lease.resources.settings.render_cache_bytes)
    told = {"verification": {**verified, "spans": len(plan.spans), "encoded": encoded}}
    return await _published(lease, spec, output, Result(file=result, poster=poster, facts=facts, told=told))


async def _encoded(lease: Lease) -> int:
    """How many pieces of picture the children made."""
    return sum((result or {}).get("encoded", 0) for _, result in await lease.children())


def _seen(pieces: Sequence[Command]) -> int:
    return sum(bool(each.frames) for each in pieces)


async def render_part(lease: Lease, spec: RenderPartSpec) -> Done:
    """Make some of the pieces that the parent's render lacks, and keep each as soon as it is there."""
    _, parent_id = lease.kin
    parent = await lease.resources.reads().payload(parent_id or "")
    if parent is None:
        raise JobFailed("INPUT_GONE", "The render that this was a part of is gone.", hopeless=True)
    plan, output = await planned(lease, RenderSpec.from_json(parent.spec))
    wanted = {command.key: command for command in plan.pieces}
    # A key that is not there comes of a worker with another FFmpeg: its pieces would be none of ours.
    mine = [wanted[key] for key in spec.keys if key in wanted]
    shop = Workshop(lease)
    missing = await shop.missing(*mine)
    of = signature(output, tools(lease.resources.settings))
    await _make(lease, shop, missing, of, total=sum(each.frames for each in mine), final=1.0)
    return Done(result={"encoded": _seen(missing)})


async def planned(lease: Lease, spec: RenderSpec) -> tuple[Movie, Output]:
    """How it is to be made. Raises JobFailed where it cannot be."""
    timeline, output = Timeline.from_json(spec.timeline), Output.from_json(spec.output)
    lease.report(Progress(stage="planning"))
    settings = lease.resources.settings
    binary = find_ffmpeg(settings.ffmpeg_binary)
    for encoder in sorted(encoders(output, hardware=settings.render_nvenc)):
        if not await asyncio.to_thread(encodes if "nvenc" in encoder else _knows, binary, encoder):
            message = f"The ffmpeg of this worker ({binary}) cannot encode with {encoder}."
            raise JobFailed("NO_ENCODER", message, hopeless=True)
    found = await sources(lease.resources.reads(), lease.project_id, timeline.asset_ids)
    for asset_id in sorted(timeline.asset_ids - found.keys()):
        raise JobFailed("ASSET_NOT_READY", f"The asset {asset_id} cannot be used.", hopeless=True)
    try:
        # In a thread: hours of film are a second's work.
        return await asyncio.to_thread(movie, timeline, output, found, tools(lease.resources.settings)), output
    except NothingToHear:
        raise JobFailed("NOTHING_TO_HEAR", "The timeline has no sound to make a file of.", hopeless=True) from None


def _knows(binary: Path, encoder: str) -> bool:
    return encoder in abilities(binary)


async def _shares(lease: Lease, missing: Sequence[Command], output: Output, of: str) -> list[Child]:
    """The children to make what is missing; none where it is not worth the while."""
    pace = await pieces.pace(lease.resources.database, lease.project_id, of) or usual_pace(output)
    seen = [(each.key, cost(each, pace)) for each in missing if each.frames]
    heard = [(each.key, cost(each, pace)) for each in missing if not each.frames]
    work = sum(each for _, each in seen)
    least = max(STRETCH_SECONDS, work / MOST_STRETCHES)
    shares = list(stretches(seen, least, LONGEST_STRETCH))
    if len(shares) < 2:  # noqa: PLR2004 - one stretch is made here
        return []
    costs = dict(seen)
    children = [Child(spec=RenderPartSpec(keys=list(keys)), weight=sum(costs[key] for key in keys)) for keys in shares]
    if heard:  # first: whoever takes it has more to wait for
        sound = Child(spec=RenderPartSpec(keys=[key for key, _ in heard]), weight=sum(each for _, each in heard))
        children.insert(0, sound)
    return children


async def _make(
    lease: Lease, shop: Workshop, missing: Sequence[Command], of: str, *, total: int, final: float = 0.9
) -> None:
    """Make pieces one after the other; what was kept before counts as done."""
    before = total - sum(each.frames for each in missing)
    telling = Telling(lease, work=sum(map(_weight, missing)), frames=before, total_frames=total, final=final)
    for command in missing:
        telling.tell(command)
        await shop.made(command, partial(telling.tell, command), signature=of if command.frames else None)
        telling.finish(command)


def _weight(command: Command) -> float:
    """How much of the way it is; sound is mixed a good deal faster than pictures are encoded."""
    return command.frames or command.seconds


@dataclass
class Telling:
    """Adds up how far the pieces of a job have come."""

    lease: Lease
    work: float
    frames: int
    total_frames: int
    final: float
    """What part of the job's progress they make."""
    done: float = 0.0

    def tell(self, command: Command, progress: FfmpegProgress | None = None) -> None:
        """Say how far it is in one of them."""
        part = progress.fraction if progress and command.frames else 0.0
        self.lease.report(
            Progress(
                stage="encoding" if command.frames else "mixing",
                fraction=self.final * (self.done + part * _weight(command)) / (self.work or 1.0),
                frames=self.frames + (progress.frame if progress and command.frames else 0),
                total_frames=self.total_frames,
                fps=(progress and progress.fps) or None,
                speed=(progress and progress.speed) or None,
                eta_seconds=progress.eta_seconds if progress and self.work <= command.frames else None,
            )
        )

    def finish(self, command: Command) -> None:
        """It is made."""
        self.done += _weight(command)
        self.frames += command.frames


async def _verified(
    lease: Lease, plan: Movie, output: Output, result: Path, name: str
) -> tuple[MediaFacts, dict[str, Any]]:
    """What was made, if it is what was planned. Raises JobFailed."""
    most = max(output.width * output.height, lease.resources.settings.max_pixels)
    try:
        measured = await measure(result, max_pixels=most, frame_rate=plan.expected.frame_rate)
        facts = await probe(result, claimed_content_type=output.format.content_type, filename=name, max_pixels=most)
    except MediaRejected as rejected:
        raise JobFailed("NOT_AS_PLANNED", str(rejected)) from rejected
    if wrong := mismatches(plan.expected, measured):
        raise JobFailed("NOT_AS_PLANNED", " ".join(wrong))
    return facts, verification(plan.expected, measured)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a render."""

    file: Path
    poster: Path | None
    facts: MediaFacts
    told: dict[str, Any]
    """For the result of the job."""


async def _published(lease: Lease, spec: RenderSpec, output: Output, result: Result) -> Done:
    """Put the file into storage; the asset is made together with the job's completion."""
    asset_id = new_id()
    place = f"projects/{lease.project_id}/assets/{asset_id}"
    stored, file = await _stored(lease, result.file, f"{place}/original", output.format.content_type)
    poster = await _stored(lease, result.poster, f"{place}/poster", "image/jpeg") if result.poster else None

    async def store(work: Work, job: Job) -> str:
        for announced, its in filter(None, ((stored, file), poster)):
            kept = await work.session.get_one(StoredObject, announced.id, with_for_update=True)
            kept.keep(size=its.size, sha256=its.sha256, now=await work.now())
        asset = Asset(
            id=asset_id,
            project_id=job.project_id,
            object_id=stored.id,
            poster_id=poster[0].id if poster else None,
            name=spec.name,
            content_type=output.format.content_type,
            size=file.size,
            sha256=file.sha256,
            state=AssetState.READY,
            media=result.facts.to_json(),
        )
        work.add(asset)
        await work.session.flush()
        return asset_id

    told = {"asset_id": asset_id, "frames": result.facts.frame_count, "size": file.size, **result.told}
    return Done(result=told, store=store)


async def _stored(lease: Lease, path: Path, key: str, content_type: str) -> tuple[StoredObject, StoredFile]:
    stored = await lease.announce(key, content_type, ANNOUNCED_FOR)
    return stored, await put(lease, path, stored.key, content_type)
