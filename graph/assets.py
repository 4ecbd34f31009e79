"""Assets: the media of a project."""

from datetime import UTC, datetime
from typing import Annotated, Any

import strawberry
from sqlalchemy import and_
from strawberry import auto

from domain.asset import Asset, AssetState
from domain.job import Job
from domain.media import MediaFacts, MediaKind
from domain.project import Project
from domain.refusals import AssetInUse, NotFound
from domain.stored import StoredObject
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import Node, face, said, worded
from graph.guard import mutation, query, scoped, signed_in
from graph.jobs import JobFace, MaybeProject
from graph.pages import After, Before, Connection, First, Last, connection
from graph.scalars import Long
from graph.users import Deleted

worded(AssetState)
worded(MediaKind)


@face(MediaFacts)
class MediaFactsFace:
    """What was found in a file."""

    kind: auto = said("What it is to an edit.")
    container: auto = said("The format of the file.")
    video_codec: auto = said("How its picture is encoded.")
    audio_codec: auto = said("How its sound is encoded.")
    width: auto = said("In pixels, as displayed.")
    height: auto = said("In pixels, as displayed.")
    rotation: auto = said("By how many degrees the stored picture is turned for display.")
    frame_rate: auto = said("Frames a second, as an exact fraction.")
    duration_seconds: auto = said("How long it is; null for what has no end, such as an image.")
    frame_count: auto = said("How many frames it has.")
    channels: auto = said("How many channels of sound.")
    sample_rate: auto = said("Samples of sound a second.")
    cue_count: auto = said("Of captions: how many texts there are.")
    lut_size: auto = said("Of a table of colours: how many steps each of its sides has.")
    font_family: auto = said("Of a font: the name of its family.")
    font_weight: auto = said("Of a font: how heavy it is; 400 is regular, 700 bold.")
    font_italic: auto = said("Of a font: whether its letters are slanted.")


@face(Asset)
class AssetFace(Node):
    """A file of media in a project."""

    name: auto = said("Its file name.")
    state: auto = said("Whether it can be used.")
    rejection: auto = said("Why it cannot be used.")
    kind: MediaKind | None = said("What it is to an edit; null until it is READY.")
    facts: MediaFactsFace | None = said("What was found in it; null until it is READY.")
    content_type: auto = said("Its media type.")
    size: Long = said("In bytes.")
    sha256: auto = said("The checksum of its bytes: SHA-256 in hexadecimal digits.")
    created_at: auto = said("When it arrived.")

    @strawberry.field(description="Where it belongs; null when that was just deleted.", graphql_type=MaybeProject)
    async def project(self: Any, info: Info) -> Project | None:
        return await info.context.loaders.get(Project, self.project_id)

    @strawberry.field(description="The newest job that examined or made it.", graphql_type=JobFace | None)
    async def job(self: Any, info: Info) -> Job | None:
        return await info.context.loaders.asset_job(self.id)

    @strawberry.field(description="Where to download it, for some hours. The file itself, with Range and ETag.")
    async def download_url(
        self: Any,
        info: Info,
        inline: Annotated[
            bool, strawberry.argument(description="Whether a browser is to show it instead of saving it.")
        ] = False,
    ) -> str | None:
        stored = await info.context.loaders.get(StoredObject, self.object_id)
        if stored is None or stored.stored_at is None:
            return None
        resources = info.context.resources
        return resources.storage.download_url(
            stored.key,
            filename=self.name,
            content_type=self.content_type,
            expires_at=until(datetime.now(UTC), resources.settings.download_hours),
            inline=inline,
        )

    @strawberry.field(description="A JPEG of one of its frames, for some hours; of what was rendered with a poster.")
    async def poster_url(self: Any, info: Info) -> str | None:
        if self.poster_id is None:
            return None
        stored = await info.context.loaders.get(StoredObject, self.poster_id)
        resources = info.context.resources
        return stored and resources.storage.download_url(
            stored.key,
            filename=f"{self.name}.jpg",
            content_type="image/jpeg",
            expires_at=until(datetime.now(UTC), resources.settings.download_hours),
            inline=True,
        )


def until(now: datetime, hours: float) -> datetime:
    """The end of a URL's life, the same for an hour at a time: caches then see the same URL again."""
    hour = 3600
    return datetime.fromtimestamp(-(-(now.timestamp() + hours * hour) // hour) * hour, UTC)


@strawberry.input(description="What to delete.")
class DeleteAssetInput:
    """Input of deleteAsset."""

    id: strawberry.ID = said("The asset.")


@strawberry.type
class AssetQueries:
    """What can be asked of assets."""

    @query(signed_in, AssetFace | None)
    async def asset(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The asset.")]
    ) -> Asset:
        """One asset."""
        asset = await info.context.loaders.get(Asset, id)
        if asset is None or not await info.context.sees(asset.project_id):
            raise NotFound(what="asset", id=id)
        return asset

    @query(signed_in, Connection[AssetFace])
    async def assets(
        self,
        info: Info,
        project_id: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
        state: Annotated[AssetState | None, strawberry.argument(description="Only those in this state.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Asset]:
        """The assets of a project, newest first."""
        await info.context.must_see(project_id)
        where = [Asset.project_id == project_id]
        if state:
            where.append(Asset.state == state)
        return await connection(info, Asset, and_(*where), first=first, after=after, last=last, before=before)


@strawberry.type
class AssetMutations:
    """What can be done to assets."""

    @mutation(scoped(Scope.UPLOADS_WRITE), Deleted, refuses=(AssetInUse,))
    async def delete_asset(
        self, info: Info, input: Annotated[DeleteAssetInput, strawberry.argument(description="What to delete.")]
    ) -> Deleted:
        """Delete an asset and its file. A timeline that uses it cannot be rendered until it is changed."""
        context = info.context
        seen = await context.loaders.get(Asset, input.id)
        if seen is None or not await context.sees(seen.project_id):
            raise NotFound(what="asset", id=input.id)
        async with context.resources.work() as work:
            # The project first: no render may start meanwhile that needs the asset.
            await work.project(context.me, seen.project_id, Right.EDIT)
            if job_id := await work.job_that_needs(seen):
                raise AssetInUse(job_id=job_id)
            await work.uploads_of(seen.id)
            asset = await work.asset(context.me, seen.id, Right.EDIT)
            await work.delete_asset(asset)
        return Deleted(id=input.id)
