"""Make a small picture, or a clip, of a place in a timeline: somebody waits for it."""

from domain.attempt import Progress
from domain.kinds import PreviewSpec
from domain.refusals import InvalidInput
from domain.render.output import Format
from domain.render.previews import quick, seen
from domain.timeline import Timeline
from persistence import pieces
from persistence.sources import sources
from tasks.ffmpeg import FfmpegProgress
from tasks.lease import Done, JobFailed, Lease
from tasks.workshop import Workshop, tools

LONGEST = 60.0
"""Seconds that one may take: somebody waits, and so do others for the slot."""


async def preview(lease: Lease, spec: PreviewSpec) -> Done:
    """Make the piece, from the small copies of videos where they are there. The result says its key."""
    timeline, made_with = Timeline.from_json(spec.timeline), tools(lease.resources.settings)
    found = await sources(lease.resources.reads(), lease.project_id, timeline.asset_ids)
    for asset_id in sorted(timeline.asset_ids - found.keys()):
        raise JobFailed("ASSET_NOT_READY", f"The asset {asset_id} cannot be used.", hopeless=True)
    copies = [each.key for each in quick(found, made_with).values()]
    kept = await pieces.touched(lease.resources.database, lease.project_id, copies)
    try:
        shown = seen(
            timeline,
            found,
            made_with,
            kept=kept,
            first=spec.first,
            count=spec.count,
            width=spec.width,
            as_clip=Format(spec.format) is Format.MP4,
        )
    except InvalidInput as invalid:
        raise JobFailed("INPUT_GONE", invalid.message, hopeless=True) from invalid

    def tell(progress: FfmpegProgress) -> None:
        lease.report(Progress(stage="encoding", fraction=progress.fraction))

    shop = Workshop(lease, patience=LONGEST)
    for command in await shop.missing(shown.command):
        await shop.made(command, tell)
    return Done(result={"key": shown.command.key})
