"""Assets as the render engine takes them."""

from collections.abc import Collection

from domain.asset import Asset
from domain.ffmpeg.command import Original
from domain.ffmpeg.stage import Source
from domain.media import MediaKind
from persistence.reads import Reads

_NO_TEXT = frozenset({MediaKind.VIDEO, MediaKind.IMAGE, MediaKind.AUDIO})


async def sources(reads: Reads, project_id: str, asset_ids: Collection[str]) -> dict[str, Source]:
    """Those of a project's assets that are ready, by id; with what stands in those that are text."""
    assets = [
        asset for asset in await reads.by_ids(Asset, sorted(asset_ids)) if asset and asset.project_id == project_id
    ]
    ready = {asset: facts for asset in assets if (facts := asset.facts)}
    texts = await reads.texts([asset.id for asset, facts in ready.items() if facts.kind not in _NO_TEXT])
    return {
        asset.id: Source(
            original=Original(asset_id=asset.id, sha256=asset.sha256), facts=facts, text=texts.get(asset.id)
        )
        for asset, facts in ready.items()
    }
