"""Where commands are made: their inputs brought together, FFmpeg run, and what comes out kept for whoever needs it."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from domain.asset import Asset
from domain.ffmpeg.command import Command, Input, Original, Shipped
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
from tasks.originals import NotBrought, StoredRef, brought, link

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
        """The pieces and originals whose bytes lie here, by their keys. Each is brought once, and linked from there."""

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
        if command.key in self._kept and (asset_id is None or await self._pinned(command.key, asset_id)):
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
        finally:
            for name in command.inputs:
                (folder / name).unlink(missing_ok=True)  # where they are no links, they are whole copies
        if command.is_exact and last != command.frames:
            wrong = f"{last} frames came out, planned were {command.frames}."
            raise JobFailed("NOT_AS_PLANNED", wrong, tail=[" ".join(command.argv)[-2000:]])
        path = folder / command.result
        if not path.is_file() or not path.stat().st_size:
            raise JobFailed("FFMPEG_FAILED", "ffmpeg ended well, and left nothing behind.")
        return Made(path=path, ran=ran)

    async def forget(self, keys: Iterable[str]) -> None:
        """Give pieces up whose bytes are not what they should be."""
        await pieces.forget(self._resources.database, [self._kept.pop(key) for key in keys if key in self._kept])

    def drop(self, command: Command) -> None:
        """Remove what lies here of a command that nobody will need again."""
        self._here.pop(command.key, None)
        shutil.rmtree(self._lease.folder / command.key[:24], ignore_errors=True)

    async def _gather(self, command: Command, folder: Path) -> None:
        await self._bring(command.inputs.values())
        for name, needed in command.inputs.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            file = FONTS / needed.name if isinstance(needed, Shipped) else self._here[needed.key]
            await asyncio.to_thread(link, file, path)

    async def _bring(self, inputs: Iterable[Input]) -> None:
        """Have originals and pieces here. Raises JobFailed; a piece that is gone is forgotten, to be made again."""
        folder = self._lease.folder / "in"
        away = {folder / each.key: each for each in inputs if each.key not in self._here}
        kept = {path: self._kept[each.key] for path, each in away.items() if isinstance(each, Command)}
        refs = {path: StoredRef.of(piece.stored) for path, piece in kept.items()}
        refs |= await self._stored({path: each for path, each in away.items() if isinstance(each, Original)})
        try:
            await brought(self._resources, refs)
        except NotBrought as failed:
            lost = [piece.key for piece in kept.values() if piece.stored.key == failed.ref.key]
            if lost and failed.failure.code in {"INPUT_GONE", "INPUT_DAMAGED"}:
                await self.forget(lost)
                raise JobFailed("PIECE_GONE", failed.failure.message) from failed
            raise
        self._here |= {path.name: path for path in refs}

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

    async def _pinned(self, key: str, asset_id: str) -> bool:
        """Let a kept piece belong to the asset: a render may have made it before. False where it is gone."""
        if self._kept[key].asset_id is None:
            async with self._resources.work() as work:
                if not await pieces.pin(work, self._kept[key], asset_id):
                    del self._kept[key]
                    return False
        return True

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
