"""Carrying a deployment's media from one storage to another, while it runs, and as often as it takes.

What the ledger calls stored is copied and then read back. Nothing is ever removed from where it comes from. A journal
remembers what has been read back, so that a second run reads only what is new.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from anyio import CapacityLimiter, create_task_group, to_thread
from sqlalchemy import ColumnElement, and_, func, select

from domain.stored import StoredObject
from domain.upload import Upload, UploadState
from persistence.database import Database
from persistence.settings import Settings
from persistence.storage import ObjectDamagedError, ObjectNotFoundError, Storage, StoredFile

_PAGE = 500
_AT_ONCE = 4
_PASSES = 10
_CARRIED: ColumnElement[bool] = and_(StoredObject.stored_at.is_not(None), StoredObject.doomed_at.is_(None))


@dataclass(frozen=True)
class Kept:
    """An object as the ledger knows it."""

    id: str
    key: str
    content_type: str
    file: StoredFile


@dataclass(kw_only=True)
class Outcome:
    """What became of the objects. A problem is one line; where there is none, everything is there and right."""

    carried: int = 0
    carried_bytes: int = 0
    already_there: int = 0
    removed: int = 0
    """Copies of an earlier run whose original has been deleted since."""
    problems: list[str] = field(default_factory=list[str])
    open_uploads: int = 0
    """Uploads that are not complete; their parts stay where they are."""


class Move:
    """From a source to a target. Run it again to go on, or to catch up."""

    def __init__(
        self,
        database: Database,
        *,
        source: Storage,
        target: Storage,
        journal: Path,
        scratch: Path,
        tell: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """Say how many bytes are done, and how many there are, after each object."""
        self._database, self._source, self._target = database, source, target
        self._journal, self._scratch, self._tell = _Journal(journal), scratch, tell
        self._outcome = Outcome()
        self._done = self._total = self._there = 0
        self._failed: set[str] = set()

    async def run(self) -> Outcome:
        """Pass over the ledger until nothing new is found. Raises StorageUnavailableError; what is done stays done."""
        for _ in range(_PASSES):
            before = self._outcome.carried
            await self._pass_over()
            if self._outcome.carried == before:
                break
        self._outcome.already_there = max(0, self._there - self._outcome.carried)
        await self._tidy()
        async with self._database.sessions() as session:
            count = select(func.count()).where(Upload.state == UploadState.OPEN)
            self._outcome.open_uploads = (await session.scalars(count)).one()
        return self._outcome

    async def _pass_over(self) -> None:
        async with self._database.sessions() as session:
            sizes = select(func.coalesce(func.sum(StoredObject.size), 0)).where(_CARRIED)
            self._done, self._total = 0, int((await session.scalars(sizes)).one() or 0)
        self._there = 0
        self._tell(self._done, self._total)
        limiter, last = CapacityLimiter(_AT_ONCE), ""
        while page := await self._page(last):
            try:
                async with create_task_group() as group:
                    for kept in page:
                        group.start_soon(self._carry, kept, limiter)
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
            last = page[-1].id

    async def _page(self, after: str) -> list[Kept]:
        query = select(StoredObject).where(_CARRIED, StoredObject.id > after).order_by(StoredObject.id).limit(_PAGE)
        async with self._database.sessions() as session:
            return [
                Kept(row.id, row.key, row.content_type, StoredFile(size=row.size or 0, sha256=row.sha256 or ""))
                for row in await session.scalars(query)
            ]

    async def _carry(self, kept: Kept, limiter: CapacityLimiter) -> None:
        async with limiter:
            if kept.key in self._failed:
                pass
            elif await self._is_there(kept):
                self._there += 1
            elif problem := await self._copied(kept):
                if await self._is_still_wanted(kept):
                    self._failed.add(kept.key)
                    self._outcome.problems.append(f"{kept.key}: {problem}")
            else:
                self._outcome.carried += 1
                self._outcome.carried_bytes += kept.file.size
            self._done += kept.file.size
            self._tell(self._done, max(self._total, self._done))

    async def _is_there(self, kept: Kept) -> bool:
        if await self._target.size(kept.key) != kept.file.size:
            return False
        if self._journal.has(kept):
            return True
        return await self._reads_back(kept)

    async def _reads_back(self, kept: Kept) -> bool:
        try:
            right = await self._target.read_through(kept.key) == kept.file
        except ObjectNotFoundError:
            return False
        if right:
            self._journal.add(kept)
        return right

    async def _copied(self, kept: Kept) -> str | None:
        """Copy it and read it back; return what is wrong."""
        async with _file_in(self._scratch) as path:
            try:
                await self._source.fetch(kept.key, path, sha256=kept.file.sha256)
            except ObjectNotFoundError:
                return "it is not in the storage it should come from"
            except ObjectDamagedError as damaged:
                return str(damaged)
            found = await self._target.put(path, kept.key, content_type=kept.content_type)
        if found != kept.file:
            await self._target.delete(kept.key)
            return f"it is damaged where it comes from: {_said(found)}, not {_said(kept.file)}"
        return None if await self._reads_back(kept) else "the copy does not read back as it was written"

    async def _is_still_wanted(self, kept: Kept) -> bool:
        async with self._database.sessions() as session:
            return await session.scalar(select(StoredObject.id).where(_CARRIED, StoredObject.id == kept.id)) is not None

    async def _tidy(self) -> None:
        """Remove our copies of what has been deleted since: no sweeper looks for them there."""
        keys = self._journal.keys()
        for start in range(0, len(keys), _PAGE):
            some = keys[start : start + _PAGE]
            query = select(StoredObject.key).where(_CARRIED, StoredObject.key.in_(some))
            async with self._database.sessions() as session:
                wanted = set(await session.scalars(query))
            for key in some:
                if key not in wanted:
                    await self._target.delete(key)
                    self._journal.forget(key)
                    self._outcome.removed += 1


def journal_of(settings: Settings, target: str) -> Path:
    """Return where to remember what has reached this target (disk or s3) as the settings describe it."""
    place = (
        [str(settings.storage_path)]
        if target == "disk"
        else [settings.s3_endpoint_url or "aws", settings.s3_bucket or "", settings.s3_prefix or ""]
    )
    name = hashlib.sha256("\n".join([target, *place]).encode()).hexdigest()[:16]
    return settings.scratch_path / "moves" / f"{target}-{name}"


class _Journal:
    """The keys that were read back and found right, with their hashes: a line for each, `-` for one that is gone.

    Losing it costs a reading of everything, no more.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._known = path, dict[str, str]()
        if path.exists():
            for line in path.read_text().splitlines():
                sha256, _, key = line.partition(" ")
                if key and (sha256 == "-" or len(sha256) == 64):  # noqa: PLR2004 - else a full disk tore the line
                    self._known[key] = sha256

    def has(self, kept: Kept) -> bool:
        return self._known.get(kept.key) == kept.file.sha256

    def add(self, kept: Kept) -> None:
        self._write(kept.key, kept.file.sha256)

    def forget(self, key: str) -> None:
        self._write(key, "-")

    def keys(self) -> list[str]:
        return [key for key, sha256 in self._known.items() if sha256 != "-"]

    def _write(self, key: str, sha256: str) -> None:
        self._known[key] = sha256
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(f"{sha256} {key}\n")


@asynccontextmanager
async def _file_in(folder: Path) -> AsyncGenerator[Path]:
    """A path in a folder of its own, which goes with whatever is in it."""
    await to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    temporary = await to_thread.run_sync(lambda: TemporaryDirectory(prefix="move-", dir=folder))
    try:
        yield Path(temporary.name) / token_hex(8)
    finally:
        await to_thread.run_sync(temporary.cleanup)


def _said(file: StoredFile) -> str:
    return f"{file.size} bytes of SHA-256 {file.sha256}"
