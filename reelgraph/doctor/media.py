"""The storage: write an object, read it back, remove it; and what browsers need of a bucket."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import anyio

from domain.entity import new_id
from persistence.resources import storage_opened
from persistence.settings import SettingError, Settings
from persistence.storage import ObjectNotFoundError, Storage, StorageFullError, StorageUnavailableError
from reelgraph.doctor.finding import Finding, Verdict, failure, ok, warning
from reelgraph.doctor.machine import folder_found
from reelgraph.reach import line

if TYPE_CHECKING:
    from persistence.storage.s3 import S3Storage

_CONTENT = b"reelgraph doctor was here\n"


async def storage(settings: Settings) -> AsyncIterator[Finding]:
    """Look at what keeps the media."""
    on_disk = settings.storage == "disk"
    if on_disk:
        found = await anyio.to_thread.run_sync(folder_found, "storage", "STORAGE_PATH", settings.storage_path)
        yield found
        if found.verdict is Verdict.FAILURE:
            return
    remedy = "give this user the folder in STORAGE_PATH" if on_disk else "look at the S3_… settings and at its policy"
    try:
        async with storage_opened(settings) as opened:
            yield await _round_trip(opened)
            if not on_disk:
                yield await _cors(settings, cast("S3Storage", opened))
    except (StorageUnavailableError, StorageFullError, ObjectNotFoundError, OSError) as error:
        yield failure("storage", f"{line(error)}; {remedy}")
    except SettingError as error:
        yield failure("storage", str(error))


async def _round_trip(opened: Storage) -> Finding:
    key = f"doctor/{new_id()}"
    with TemporaryDirectory() as folder:
        file = Path(folder, "object")
        await anyio.Path(file).write_bytes(_CONTENT)
        try:
            await opened.put(file, key, content_type="text/plain")
            read = await opened.read_through(key)
        finally:
            await opened.delete(key)
    if read.sha256 != hashlib.sha256(_CONTENT).hexdigest():
        return failure("storage", "gives back other bytes than it was given; do not use it")
    if await opened.size(key) is not None:
        return failure("storage", "keeps what was deleted; allow deletion, and switch off object locks")
    return ok("storage", "an object was written, read and deleted")


async def _cors(settings: Settings, opened: "S3Storage") -> Finding:
    from persistence.storage.cors import check_cors, origins

    if problems := await check_cors(opened, settings):
        said = f"{'; '.join(problems)}; `reelgraph storage cors --set --check` lets them in"
        # Without ALLOWED_ORIGINS perhaps no page ever uploads: programs do not ask a bucket for leave.
        return (failure if settings.allowed_origins else warning)("CORS", said)
    return ok("CORS", f"pages of {', '.join(origins(settings))} may send parts and read")
