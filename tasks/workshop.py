"""Where commands are made: their inputs brought together, FFmpeg run, and what comes out kept for whoever needs it."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from domain.asset import Asset
from domain.ffmpeg.command import Command, Original, Shipped
from domain.piece import Piece, piece_place
from domain.render.plan import missing
from domain.render.scene import Tools
from domain.sound.loudness import gain
from domain.stored import StoredObject
from persistence import pieces
from persistence.settings import Settings
from persistence.storage import StorageFullError, StoredFile
from tasks.ffmpeg import FONT, FfmpegFailed, FfmpegProgress, Ran, ffmpeg_version, find_ffmpeg, run_ffmpeg, usual_limits
from tasks.lease import JobFailed, Lease
from tasks.originals import StoredRef, brought

ANNOUNCED_FOR = timedelta(hours=6)
"""How long what was made may take to reach storage."""
CONTENT_TYPE = "application/octet-stream"
FONTS = FONT.parent

Tell = Callable[[FfmpegProgress], None]


def tools(settings: Settings) -> Tools:
    """What this machine makes things with. Raises FfmpegMissing."""
    return Tools(
        ffmpeg=ffmpeg_version(find_ffmpeg(settings.ffmpeg_binary)),
        threads=settings.render_threads,
        hardware=settings.render_nvenc,
    )


@dataclass(frozen=True, kw_only=True)
class Made:
    """The result of a command, on disk here."""

    path: Path
    ran: Ran


class Workshop:
    """Makes commands for one job, in folders of its own below the attempt's."""

    def __init__(self, lease: Lease, *, patience: float | None = None) -> None:
        """Know no piece yet. `patience`: seconds that one run may take, if that is less than a job's own time."""
        self._lease = lease
        self._patience = patience
        self._resources = lease.resources
        self._binary = find_ffmpeg(lease.resources.settings.ffmpeg_binary)
        self._kept: dict[str, Piece] = {}
        """Pieces that were there when somebody looked, or have been made here."""
        self._here: dict[str, Path] = {}
        """Those whose bytes lie here too."""

    async def missing(self, *wanted: Command) -> list[Command]:
        """What must be made so that these can be, in order; themselves included, unless they are kept."""
        await self.look_up([each.key for command in wanted for each in command.tree()])
        return list(missing(wanted, self._kept))

    async def look_up(self, keys: Sequence[str]) -> None:
        """Ask which pieces are there, and have them spared."""
        self._kept |= await pieces.touched(self._resources.database, self._lease.project_id, keys)

    async def made(
        self, command: Command, tell: Tell, *, signature: str | None = None, asset_id: str | None = None
    ) -> Piece:
        """Make a piece and keep it, unless it is there; what it is made from must be."""
        await self.look_up([command.key])
        if command.key in self._kept:
            return self._kept[command.key]
        result = await self.run(command, tell)
        piece = await self._keep(command, result, signature, asset_id)
        self._kept[command.key], self._here[command.key] = piece, result.path
        return piece

    async def run(self, command: Command, tell: Tell) -> Made:
        """Make a command's result here, and keep it nowhere. Raises JobFailed."""
        folder = self._lease.folder / command.key[:24]
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir()
        await self._gather(command, folder)
        for name, text in command.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        last = 0

        def told(progress: FfmpegProgress) -> None:
            nonlocal last
            last = progress.frame
            tell(progress)

        limits = usual_limits(self._resources.settings)
        if self._patience is not None:
            limits = replace(limits, wall_seconds=min(self._patience, limits.wall_seconds or self._patience))
        try:
            ran = await run_ffmpeg(
                self._binary,
                argv(command, folder),
                folder=folder,
                total_frames=command.frames,
                on_progress=told,
                limits=limits,
            )
        except FfmpegFailed as failed:
            raise JobFailed("FFMPEG_FAILED", str(failed), exit_code=failed.code, tail=failed.tail) from failed
        if command.is_exact and last != command.frames:
            wrong = f"{last} frames came out, planned were {command.frames}."
            raise JobFailed("NOT_AS_PLANNED", wrong, tail=[" ".join(command.argv)[-2000:]])
        path = folder / command.result
        if not path.is_file() or not path.stat().st_size:
            raise JobFailed("FFMPEG_FAILED", "ffmpeg ended well, and left nothing behind.")
        return Made(path=path, ran=ran)

    async def local(self, piece_key: str, path: Path) -> None:
        """Bring a piece's bytes to a path. Raises JobFailed; a piece that is gone is forgotten, to be made again."""
        if found := self._here.get(piece_key):
            await asyncio.to_thread(_link, found, path)
            return
        piece = self._kept[piece_key]
        try:
            await brought(self._resources, {path: StoredRef.of(piece.stored)})
        except JobFailed as failed:
            if failed.failure.code in {"INPUT_GONE", "INPUT_DAMAGED"}:
                await self.forget([piece_key])
                again = replace(failed.failure, code="PIECE_GONE", hopeless=False)
                raise JobFailed(again.code, again.message) from failed
            raise

    async def forget(self, keys: Iterable[str]) -> None:
        """Give pieces up whose bytes are not what they should be."""
        await pieces.forget(self._resources.database, [self._kept.pop(key) for key in keys if key in self._kept])

    def drop(self, command: Command) -> None:
        """Remove what lies here of a command that nobody will need again."""
        self._here.pop(command.key, None)
        shutil.rmtree(self._lease.folder / command.key[:24], ignore_errors=True)

    async def _gather(self, command: Command, folder: Path) -> None:
        originals: dict[Path, Original] = {}
        for name, needed in command.inputs.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            match needed:
                case Original():
                    originals[path] = needed
                case Shipped():
                    _link(FONTS / needed.name, path)
                case Command():
                    await self.local(needed.key, path)
        await brought(self._resources, await self._stored(originals))

    async def _stored(self, originals: Mapping[Path, Original]) -> dict[Path, StoredRef]:
        reads = self._resources.reads()
        assets = await reads.by_ids(Asset, [each.asset_id for each in originals.values()])
        objects = await reads.by_ids(StoredObject, [asset.object_id if asset else "" for asset in assets])
        found: dict[Path, StoredRef] = {}
        for (path, original), stored in zip(originals.items(), objects, strict=True):
            if stored is None:
                raise JobFailed("INPUT_GONE", f"The asset {original.asset_id} was deleted.", hopeless=True)
            found[path] = StoredRef.of(stored)
        return found

    async def _keep(self, command: Command, result: Made, signature: str | None, asset_id: str | None) -> Piece:
        lease = self._lease
        stored = await lease.announce(piece_place(lease.project_id), CONTENT_TYPE, ANNOUNCED_FOR)
        file = await put(lease, result.path, stored.key, CONTENT_TYPE)
        made = Piece(
            project_id=lease.project_id,
            key=command.key,
            object_id=stored.id,
            size=file.size,
            frames=command.frames,
            cpu_seconds=result.ran.cpu_seconds,
            signature=signature,
            asset_id=asset_id,
        )
        async with self._resources.work() as work:
            kept = await pieces.keep(work, made, sha256=file.sha256)
        if kept is None:
            raise JobFailed("INPUT_GONE", "The project or the asset was deleted.", hopeless=True)
        return kept


def argv(command: Command, folder: Path) -> list[str]:
    """The arguments, with the number that an input tells."""
    measure = command.measure
    if measure is None:
        return list(command.argv)
    number = gain((folder / measure.input).read_text(encoding="utf-8"), measure.target)
    return [word.replace("{measured}", number) for word in command.argv]


async def put(lease: Lease, path: Path, key: str, content_type: str) -> StoredFile:
    """Put a file into storage. Raises JobFailed."""
    putting = asyncio.ensure_future(lease.resources.storage.put(path, key, content_type=content_type))
    try:
        return await asyncio.shield(putting)
    except asyncio.CancelledError:
        # What was stored half-way, or a moment later, must be there before the attempt's traces are removed.
        await asyncio.wait({putting})
        raise
    except StorageFullError as full:
        raise JobFailed("STORAGE_FULL", "The storage has no room for what was made.") from full


def _link(file: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(file)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(file, path)
