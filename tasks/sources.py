"""The originals that a job works on, as local files."""

from pathlib import Path

from domain.asset import Asset
from domain.stored import StoredObject
from persistence.storage import ObjectDamagedError, ObjectNotFoundError
from tasks.lease import JobFailed, Lease


async def fetched(lease: Lease, asset_id: str, path: Path) -> Asset:
    """Bring an asset's file to this path, for reading only; without it the job is hopeless."""
    asset = await lease.row(Asset, asset_id)
    stored = await lease.row(StoredObject, asset.object_id)
    try:
        await lease.resources.storage.fetch(stored.key, path, sha256=stored.sha256)
    except ObjectDamagedError as damaged:
        raise JobFailed("INPUT_DAMAGED", str(damaged)) from damaged
    except ObjectNotFoundError as gone:
        raise JobFailed("INPUT_GONE", f"The file of {asset.name} is not in storage.", hopeless=True) from gone
    return asset
