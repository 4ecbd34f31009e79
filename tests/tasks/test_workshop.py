"""Commands are made of what was stored and of nothing else, and no more lies on the worker's disk than is needed."""

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from domain.asset import Asset
from domain.ffmpeg.command import Command, Original
from domain.ffmpeg.stage import Source
from domain.job import Terms
from domain.kinds import JobKind, Pool, PrepareSpec
from domain.order import Order
from domain.piece import Piece
from domain.project import Project
from domain.render.proxy import proxy
from domain.stored import StoredObject
from persistence import pieces
from persistence.line import Caps
from persistence.resources import Resources
from tasks.ffmpeg import FfmpegProgress, ffmpeg_version, find_ffmpeg
from tasks.lease import JobFailed, Lease
from tasks.probe import probe
from tasks.workshop import Workshop
from tests import media

HOUR = timedelta(hours=1)
TERMS = Terms(lease=HOUR, attempt=HOUR, job=HOUR)


class OnAnotherDisk:
    """A local storage that no file can be linked from."""

    def __init__(self, storage: object) -> None:
        self._storage = storage
        self.fetched: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        self.fetched.append(key)
        linked = path.with_name("linked")
        await self._storage.fetch(key, linked, sha256=sha256)
        shutil.copyfile(linked, path)
        linked.unlink()


class InThrees(OnAnotherDisk):
    """One that brings nothing before it is asked for three."""

    def __init__(self, storage: object) -> None:
        super().__init__(storage)
        self.asked = asyncio.Barrier(3)

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        await self.asked.wait()
        await self._storage.fetch(key, path, sha256=sha256)


@dataclasses.dataclass
class Film:
    """A film in a project, and where its bytes lie."""

    project: str
    asset: str
    source: Source
    file: Path

    def clip(self, number: int) -> Command:
        """A command of its own that needs all of it."""
        name = self.source.name
        argv = ("-f", "mov", "-i", f"file:{name}", "-c", "copy", "-metadata", f"title={number}", "-f", "mp4", "a.mp4")
        tool = ffmpeg_version(find_ffmpeg(None))
        return Command(argv=argv, result="a.mp4", tool=tool, inputs={name: self.source.original}, frames=30)


@pytest.fixture
async def film(resources: Resources, tmp_path: Path) -> Film:
    path = media.counter(tmp_path / "a.mp4", frames=30, options=(*media.H264, "-movflags", "+faststart"))
    facts = await probe(path, claimed_content_type="", filename="", max_pixels=10**6)
    stored_as = await resources.storage.put(path, "projects/a/film", content_type="video/mp4")
    async with resources.work() as work:
        project = Project(name="A project")
        work.add(project)
        await work.session.flush()
        stored = StoredObject(
            project_id=project.id, key="projects/a/film", content_type="video/mp4", expires_at=await work.now() + HOUR
        )
        stored.keep(size=stored_as.size, sha256=stored_as.sha256, now=await work.now())
        work.add(stored)
        await work.session.flush()
        asset = Asset(
            project_id=project.id,
            object_id=stored.id,
            name="a.mp4",
            content_type="video/mp4",
            size=stored_as.size,
            sha256=stored_as.sha256,
        )
        asset.accept(facts)
        work.add(asset)
    source = Source(original=Original(asset_id=asset.id, sha256=asset.sha256), facts=facts)
    file = resources.settings.storage_path / "objects" / "projects" / "a" / "film"
    return Film(project.id, asset.id, source, file)


async def leased(resources: Resources, film: Film) -> Lease:
    """An attempt at a job of the project."""
    order = Order(spec=PrepareSpec(asset_id=film.asset), project_id=film.project, user_id=None, asset_id=film.asset)
    async with resources.work() as work:
        await work.place(order)
    async with resources.work() as work:
        kinds = frozenset({JobKind.PREPARE})
        ((job, asked),) = await work.claim(
            Pool.RENDER, kinds, worker="a worker", terms=TERMS, caps=Caps(), suspects=True, most=1
        )
    return Lease(job=job, asked=asked, resources=resources)


@pytest.fixture
async def lease(resources: Resources, film: Film) -> AsyncGenerator[Lease]:
    lease = await leased(resources, film)
    yield lease
    await lease.clear()


def nobody(_: FfmpegProgress) -> None:
    """Nobody wants to know how far it is."""


async def kept(resources: Resources, film: Film, command: Command) -> Piece | None:
    return (await pieces.cached(resources.database, film.project, [command.key])).get(command.key)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def zeroed(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(len(data) // 5) + data[len(data) // 2 + len(data) // 5 :]


@pytest.mark.parametrize("damaged", [cut, zeroed])
async def test_of_a_damaged_original_nothing_is_made(
    resources: Resources, film: Film, lease: Lease, damaged: Callable[[bytes], bytes]
) -> None:
    """FFmpeg would make a picture of it, and say that all is well."""
    film.file.chmod(0o600)
    film.file.write_bytes(damaged(film.file.read_bytes()))
    command = proxy(film.source, tool=ffmpeg_version(find_ffmpeg(None)))
    assert command is not None
    with pytest.raises(JobFailed) as caught:
        await Workshop(lease).made(command, nobody)
    assert (caught.value.failure.code, caught.value.failure.hopeless) == ("INPUT_DAMAGED", False)
    assert await kept(resources, film, command) is None


async def test_a_damaged_piece_is_forgotten_to_be_made_again(resources: Resources, film: Film, lease: Lease) -> None:
    first = film.clip(1)
    made = await Workshop(lease).made(first, nobody)
    path = resources.settings.storage_path / "objects" / (await _place(resources, made))
    path.chmod(0o600)
    path.write_bytes(zeroed(path.read_bytes()))
    shop = Workshop(lease)
    with pytest.raises(JobFailed) as caught:
        await shop.made(await _after(shop, first), nobody)
    assert (caught.value.failure.code, caught.value.failure.hopeless) == ("PIECE_GONE", False)
    assert await kept(resources, film, first) is None


async def _place(resources: Resources, piece: Piece) -> str:
    (stored,) = await resources.reads().by_ids(StoredObject, [piece.object_id])
    assert stored is not None
    return stored.key


async def _after(shop: Workshop, *parts: Command) -> Command:
    """One that is joined from others, which are kept."""
    names = [f"spans/{number}.mp4" for number in range(len(parts))]
    argv = ("-f", "concat", "-safe", "0", "-i", "list.txt", "-c", "copy", "-f", "mp4", "b.mp4")
    listed = "ffconcat version 1.0\n" + "".join(f"file '{name}'\n" for name in names)
    files, inputs = {"list.txt": listed}, dict(zip(names, parts, strict=True))
    joined = Command(argv=argv, result="b.mp4", tool=parts[0].tool, inputs=inputs, files=files)
    assert await shop.missing(joined) == [joined]
    return joined


async def test_an_original_is_copied_once_for_all_that_is_made_of_it(resources: Resources, film: Film) -> None:
    """Where the scratch folder is on another disk than the storage."""
    storage = OnAnotherDisk(resources.storage)
    lease = await leased(dataclasses.replace(resources, storage=storage), film)
    shop = Workshop(lease)
    for number in range(3):
        await shop.made(film.clip(number), nobody)
    assert storage.fetched == ["projects/a/film"]
    whole = film.file.read_bytes()
    (copy,) = [path for path in lease.folder.rglob("*") if path.is_file() and path.read_bytes() == whole]
    assert copy.stat().st_nlink == 1
    await lease.clear()
    assert not lease.folder.exists()


async def test_what_is_put_together_is_fetched_several_at_a_time(
    resources: Resources, film: Film, lease: Lease
) -> None:
    parts = [film.clip(number) for number in range(3)]
    for part in parts:
        await Workshop(lease).made(part, nobody)
    other = await leased(dataclasses.replace(resources, storage=InThrees(resources.storage)), film)
    shop = Workshop(other)
    async with asyncio.timeout(20):
        result = await shop.run(await _after(shop, *parts), nobody)
    assert len(media.pictures(result.path)) == 90
    await other.clear()


async def test_what_a_render_made_first_becomes_the_assets_own(resources: Resources, film: Film, lease: Lease) -> None:
    command = film.clip(1)
    loose = await Workshop(lease).made(command, nobody)
    assert loose.asset_id is None
    await Workshop(lease).made(command, nobody, asset_id=film.asset)
    pinned = await kept(resources, film, command)
    assert pinned is not None
    assert (pinned.asset_id, pinned.object_id) == (film.asset, loose.object_id)
