"""Make what editing needs of an asset beforehand: its sound, as it is mixed, and a small copy of its picture."""

from domain.attempt import Progress
from domain.ffmpeg.command import Command
from domain.kinds import PrepareSpec
from domain.render.proxy import proxy
from domain.sound.extraction import extracted
from persistence.sources import sources
from tasks.ffmpeg import FfmpegProgress
from tasks.lease import Done, JobFailed, Lease
from tasks.workshop import Workshop, tools


async def prepare(lease: Lease, spec: PrepareSpec) -> Done:
    """Make both and keep them as long as the asset. Renders and previews that cannot wait use the file itself."""
    found = await sources(lease.resources.reads(), lease.project_id, [spec.asset_id])
    if spec.asset_id not in found:
        raise JobFailed("INPUT_GONE", "The asset was deleted, or is not ready.", hopeless=True)
    source, tool = found[spec.asset_id], tools(lease.resources.settings).ffmpeg
    sound = extracted(source, tool=tool) if source.facts.has_sound else None
    wanted = [each for each in (sound, proxy(source, tool=tool)) if each]
    shop = Workshop(lease)
    for number, command in enumerate(wanted):

        def tell(progress: FfmpegProgress, command: Command = command, number: int = number) -> None:
            part = progress.fraction if command.frames else 0.0
            stage = "encoding" if command.frames else "extracting"
            lease.report(Progress(stage=stage, fraction=(number + part) / len(wanted), speed=progress.speed or None))

        await shop.made(command, tell, asset_id=spec.asset_id)
        shop.drop(command)
    return Done(result={"pieces": [each.key for each in wanted]})
