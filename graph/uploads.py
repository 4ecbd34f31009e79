"""Uploads: announce a file, send its parts straight to storage, complete it."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any

import strawberry
from strawberry import auto

from domain.asset import Asset
from domain.entity import new_id
from domain.kinds import IngestSpec
from domain.order import Order
from domain.project import Project
from domain.refusals import (
    ChecksumMismatch,
    InvalidInput,
    NotFound,
    StorageFull,
    StorageUnavailable,
    UploadClosed,
    UploadIncomplete,
    UploadTooLarge,
)
from domain.stored import StoredObject
from domain.upload import Announcement, Upload, UploadState
from domain.viewer import Right, Scope
from graph.assets import AssetFace
from graph.context import Info
from graph.face import Node, face, said
from graph.guard import mutation, query, scoped, signed_in
from graph.jobs import MaybeProject
from graph.scalars import Long
from persistence.storage import PendingUpload, StorageFullError, StorageUnavailableError, StoredFile


@strawberry.type(description="One piece of the file, to be sent by itself.")
class UploadPart:
    """A part, with what storage knows of it."""

    number: int = said("Counts from 1.")
    offset: Long = said("Where it begins in the file, in bytes.")
    size: Long = said("Exactly so many bytes.")
    url: str | None = said(
        "Where to PUT these bytes, until the upload expires; null for whoever may not upload to the project."
    )
    received: bool = said("Whether it has arrived whole; send only those that have not to resume.")


@face(Upload)
class UploadFace(Node):
    """A file on its way into a project."""

    filename: auto = said("Its name.")
    content_type: auto = said("Its media type, as announced.")
    size: Long = said("In bytes, as announced.")
    sha256: auto = said("Its checksum, if it was announced.")
    state: auto = said("How far it has come.")
    part_size: Long = said("How large each part but the last is, in bytes.")
    expires_at: auto = said("When it will be too late to complete it.")
    created_at: auto = said("When it was announced.")

    @strawberry.field(description="The pieces to send, in any order and any number at once; none when it is closed.")
    async def parts(self: Any, info: Info) -> list[UploadPart]:
        storage = info.context.resources.storage
        pending = await _pending(self, info)
        if pending is None:
            return []
        me = info.context.me
        may = Scope.UPLOADS_WRITE in me.scopes and me.may(Right.EDIT, await info.context.role_in(self.project_id))
        received = await storage.received_parts(pending)
        return [
            UploadPart(
                number=part.number,
                offset=Long(part.offset),
                size=Long(part.size),
                url=storage.part_url(pending, part.number, part.size, self.expires_at) if may else None,
                received=received.get(part.number) == part.size,
            )
            for part in self.parts
        ]

    @strawberry.field(description="Where it belongs; null when that was just deleted.", graphql_type=MaybeProject)
    async def project(self: Any, info: Info) -> Project | None:
        return await info.context.loaders.get(Project, self.project_id)

    @strawberry.field(description="What became of it.", graphql_type=AssetFace | None)
    async def asset(self: Any, info: Info) -> Asset | None:
        return await info.context.loaders.get(Asset, self.asset_id)


async def _pending(upload: Upload, info: Info) -> PendingUpload | None:
    """How storage knows an upload that is open."""
    if upload.state != UploadState.OPEN:
        return None
    stored = await info.context.loaders.get(StoredObject, upload.object_id)
    if stored is None or stored.upload_handle is None:
        return None
    return PendingUpload(key=stored.key, handle=stored.upload_handle)


@strawberry.input(description="The file to come.")
class CreateUploadInput:
    """Input of createUpload."""

    project_id: strawberry.ID = said("Where it is to belong.")
    filename: str = said("Its name, without folders.")
    size: Long = said("In bytes.")
    content_type: str = said(
        "Its media type, such as video/mp4. The file is refused if it turns out to be another kind."
    )
    sha256: str | None = strawberry.field(
        default=None, description="Its checksum in hexadecimal digits; the upload completes only if it is right."
    )


@strawberry.input(description="Which upload is complete.")
class CompleteUploadInput:
    """Input of completeUpload."""

    id: strawberry.ID = said("The upload.")


@strawberry.input(description="Which upload to give up.")
class AbortUploadInput:
    """Input of abortUpload."""

    id: strawberry.ID = said("The upload.")


@strawberry.type
class UploadQueries:
    """What can be asked of uploads."""

    @query(signed_in, UploadFace | None)
    async def upload(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The upload.")]
    ) -> Upload:
        """One upload, with the parts that have arrived: what a client needs to resume it."""
        upload = await info.context.loaders.get(Upload, id)
        if upload is None or not await info.context.sees(upload.project_id):
            raise NotFound(what="upload", id=id)
        return upload


@strawberry.type
class UploadMutations:
    """What can be done to uploads."""

    @mutation(
        scoped(Scope.UPLOADS_WRITE), UploadFace, refuses=(InvalidInput, UploadTooLarge, StorageFull, StorageUnavailable)
    )
    async def create_upload(
        self, info: Info, input: Annotated[CreateUploadInput, strawberry.argument(description="The file to come.")]
    ) -> Upload:
        """Announce a file. The answer says where to PUT each of its parts."""
        resources = info.context.resources
        async with resources.work() as work:
            project = await work.project(info.context.me, input.project_id, Right.EDIT)
            announced = Announcement.of(
                filename=input.filename,
                content_type=input.content_type,
                size=input.size,
                sha256=input.sha256,
                limit=resources.settings.max_upload_bytes,
            )
            expires_at = await work.now() + timedelta(hours=resources.settings.upload_hours)
        # The storage may be far away: no transaction waits for it.
        upload_id = new_id()
        stored = await _begun(info, upload_id, project.id, announced.content_type, expires_at)
        upload = Upload(
            id=upload_id,
            project_id=project.id,
            object_id=stored.id,
            filename=announced.filename,
            content_type=announced.content_type,
            size=announced.size,
            sha256=announced.sha256,
            part_size=announced.part_size(resources.settings.upload_part_bytes),
            expires_at=expires_at,
        )
        async with resources.work() as work:
            await work.project(info.context.me, input.project_id, Right.EDIT)
            work.add(stored, upload)
        return upload

    @mutation(
        scoped(Scope.UPLOADS_WRITE),
        AssetFace,
        refuses=(UploadIncomplete, ChecksumMismatch, UploadClosed, StorageFull, StorageUnavailable),
    )
    async def complete_upload(
        self, info: Info, input: Annotated[CompleteUploadInput, strawberry.argument(description="Which one.")]
    ) -> Asset:
        """All parts are sent: check them, and have the file examined. Repeating it answers with the same asset."""
        context, resources = info.context, info.context.resources
        async with resources.work() as work:
            upload = await work.upload(context.me, input.id, Right.EDIT)
            if upload.asset_id and (asset := await work.session.get(Asset, upload.asset_id)):
                return asset
            upload.still_open(await work.now())
            stored = await work.session.get_one(StoredObject, upload.object_id)
        if stored.upload_handle is None:
            raise UploadClosed(state=upload.state)
        # Joining and hashing gigabytes takes a while: no transaction waits for it.
        try:
            file = await resources.storage.complete_upload(
                PendingUpload(key=stored.key, handle=stored.upload_handle),
                [part.size for part in upload.parts],
                sha256=upload.sha256,
            )
        except StorageFullError as full:
            raise StorageFull from full
        except StorageUnavailableError as away:
            raise StorageUnavailable from away
        except ChecksumMismatch:
            await _start_over(info, upload, stored)
            raise
        return await _adopt(info, upload, file)

    @mutation(scoped(Scope.UPLOADS_WRITE), UploadFace, refuses=(UploadClosed,))
    async def abort_upload(
        self, info: Info, input: Annotated[AbortUploadInput, strawberry.argument(description="Which one.")]
    ) -> Upload:
        """Give an upload up; its parts are removed."""
        async with info.context.resources.work() as work:
            upload = await work.upload(info.context.me, input.id, Right.EDIT)
            upload.abort(await work.now())
            await work.doom(upload.object_id)
            stored = await work.session.get_one(StoredObject, upload.object_id)
        if stored.upload_handle is not None:
            # The sweeper would, a little later; but the client has been told that it takes no more.
            with suppress(StorageUnavailableError):
                await info.context.resources.storage.discard_upload(
                    PendingUpload(key=stored.key, handle=stored.upload_handle)
                )
        return upload


async def _begun(info: Info, upload_id: str, project_id: str, content_type: str, expires_at: datetime) -> StoredObject:
    """A new object, and in storage a place for its parts. If nothing comes of it, the storage's sweep removes that."""
    key = f"projects/{project_id}/assets/{new_id()}/original"
    try:
        handle = await info.context.resources.storage.begin_upload(upload_id, key)
    except StorageFullError as full:
        raise StorageFull from full
    except StorageUnavailableError as away:
        raise StorageUnavailable from away
    return StoredObject(
        project_id=project_id, key=key, content_type=content_type, expires_at=expires_at, upload_handle=handle
    )


async def _start_over(info: Info, upload: Upload, wrong: StoredObject) -> None:
    """Let the upload take all its parts again, for another object: a completed one cannot be opened again."""
    fresh = await _begun(info, new_id(), upload.project_id, upload.content_type, upload.expires_at)
    async with info.context.resources.work() as work:
        found = await work.upload(info.context.me, upload.id, Right.EDIT)
        if found.state != UploadState.OPEN or found.object_id != wrong.id:
            return  # closed meanwhile, or somebody else has started it over
        await work.doom(wrong.id)
        work.add(fresh)
        found.object_id = fresh.id


async def _adopt(info: Info, completed: Upload, file: StoredFile) -> Asset:
    """Make an asset of a stored file and order its examination, unless somebody else just has."""
    async with info.context.resources.work() as work:
        upload = await work.upload(info.context.me, completed.id, Right.EDIT)
        if upload.asset_id and (made := await work.session.get(Asset, upload.asset_id)):
            return made
        now = await work.now()
        upload.still_open(now)
        if upload.object_id != completed.object_id:  # started over meanwhile
            raise UploadIncomplete(missing_parts=[part.number for part in upload.parts])
        stored = await work.locked(StoredObject, upload.object_id)
        if stored is None or stored.doomed_at is not None:  # given up by the sweeper a moment ago
            raise UploadClosed(state=UploadState.EXPIRED)
        stored.keep(size=file.size, sha256=file.sha256, now=now)
        asset = Asset(
            project_id=upload.project_id,
            object_id=stored.id,
            name=upload.filename,
            content_type=upload.content_type,
            size=file.size,
            sha256=file.sha256,
        )
        work.add(asset)
        await work.session.flush()
        upload.complete(asset.id)
        await work.place(
            Order(
                spec=IngestSpec(asset_id=asset.id),
                project_id=upload.project_id,
                user_id=info.context.me.user_id,
                asset_id=asset.id,
            )
        )
    return asset
