"""The faces of the refusals: members of the mutations' unions, behind `interface Refusal`."""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, cast

import strawberry
from strawberry.schema.exception_handlers import ExceptionHandler

from domain import refusals as domain
from domain.job import Job, JobState
from domain.upload import UploadState
from domain.viewer import Role
from graph.face import face, said, worded
from graph.scalars import Long

if TYPE_CHECKING:
    from graph.jobs import JobFace

T = TypeVar("T")

MaybeJob: TypeAlias = Annotated["JobFace", strawberry.lazy("graph.jobs")] | None

worded(JobState)
worded(Role)
worded(UploadState)

_FACES: dict[type[domain.Refusal], type] = {}


@strawberry.interface(description="Something that was not done, and why. Switch on the type; show the message.")
class Refusal:
    """What all refusals have in common."""

    code: str = said("The kind of refusal, in capitals: the same as the type's name.")
    message: str = said("What was wrong and what to do about it, for people.")


def refusal(error: type[domain.Refusal]) -> Callable[[type[T]], type[T]]:
    """Make a class the face of a refusal. The refusal's own sentence describes the type."""

    def made(cls: type[T]) -> type[T]:
        template = " ".join((error.__doc__ or "").split())
        cls.__doc__ = template.replace("{", "‹").replace("}", "›").replace("!r", "")
        _FACES[error] = face(error, name=error.__name__)(cls)
        return cls

    return made


def face_of(error: type[domain.Refusal]) -> type:
    """The face of a refusal."""
    return _FACES[error]


def shown(error: domain.Refusal) -> Any:
    """The refusal as a GraphQL value. Never the exception itself, which would be raised again."""
    facts = {field.name: getattr(error, field.name) for field in fields(error)}
    return _FACES[type(error)](**facts, code=error.code, message=error.message)


def handlers() -> list[ExceptionHandler[Any]]:
    """One for each refusal, so that a mutation whose union has its face answers with it."""
    return [_handler(error, shown_as) for error, shown_as in _FACES.items()]


def _handler(error: type[domain.Refusal], shown_as: type) -> ExceptionHandler[Any]:
    class Handler(ExceptionHandler):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]  # declared by the attributes
        exception_type = error
        error_type = shown_as

        def handle(self, exception: Any, *, field: Any, info: Any) -> Any:  # noqa: ARG002 - Strawberry's protocol
            return shown(cast("domain.Refusal", exception))

    return Handler()


@refusal(domain.NotFound)
class NotFound(Refusal):
    what: str = said("What was asked for: project, asset, job, schedule, upload, user or member.")
    id: strawberry.ID = said("The id that was given.")


@refusal(domain.Forbidden)
class Forbidden(Refusal):
    needs: str = said("What the viewer lacks.")


@refusal(domain.InvalidInput)
class InvalidInput(Refusal):
    path: str = said("Where in the input.")
    problem: str = said("What is wrong there.")


@refusal(domain.StaleVersion)
class StaleVersion(Refusal):
    expected: int = said("The version the client had read.")
    actual: int = said("The version it has now.")


@face(domain.Problem)
class Problem:
    """One thing wrong with an input, and where."""

    path: str = said("Where, with list positions from 0: tracks.0.clips.2.content.video.out.")
    message: str = said("What is wrong there.")


@refusal(domain.TimelineInvalid)
class TimelineInvalid(Refusal):
    problems: list[Problem] = said("Every problem that was found, not only the first.")


@refusal(domain.TimelineEmpty)
class TimelineEmpty(Refusal):
    pass


@refusal(domain.RenderAlreadyActive)
class RenderAlreadyActive(Refusal):
    job_id: strawberry.ID = said("The id of the job that is at it.")

    @strawberry.field(description="The job that is at it.", graphql_type=MaybeJob)
    async def job(self, info: strawberry.Info[Any, None]) -> Any:
        return await info.context.loaders.get(Job, self.job_id)


@refusal(domain.PreviewFailed)
class PreviewFailed(Refusal):
    job_id: strawberry.ID = said("The job that failed.")
    problem: str = said("Why.")


@refusal(domain.TooManyPreviews)
class TooManyPreviews(Refusal):
    limit: int = said("How many may wait.")


@refusal(domain.IdempotencyKeyReused)
class IdempotencyKeyReused(Refusal):
    job_id: strawberry.ID = said("The job that the key made.")


@refusal(domain.TooManySchedules)
class TooManySchedules(Refusal):
    limit: int = said("How many a project may have.")


@refusal(domain.UploadTooLarge)
class UploadTooLarge(Refusal):
    size: Long = said("The size that was announced, in bytes.")
    limit: Long = said("The most that is allowed, in bytes.")


@refusal(domain.UploadIncomplete)
class UploadIncomplete(Refusal):
    missing_parts: list[int] = said("The numbers of the parts to send (again).")


@refusal(domain.ChecksumMismatch)
class ChecksumMismatch(Refusal):
    expected: str = said("The SHA-256 that was announced.")
    actual: str = said("The SHA-256 of what arrived.")


@refusal(domain.UploadClosed)
class UploadClosed(Refusal):
    state: UploadState = said("What became of the upload.")


@refusal(domain.StorageFull)
class StorageFull(Refusal):
    pass


@refusal(domain.StorageUnavailable)
class StorageUnavailable(Refusal):
    pass


@refusal(domain.AssetInUse)
class AssetInUse(Refusal):
    job_id: strawberry.ID = said("The job that needs the asset.")


@refusal(domain.JobAlreadyEnded)
class JobAlreadyEnded(Refusal):
    state: JobState = said("How it ended.")


@refusal(domain.JobNotRetryable)
class JobNotRetryable(Refusal):
    state: JobState = said("The state it is in.")


@refusal(domain.AlreadyMember)
class AlreadyMember(Refusal):
    role: Role = said("The role they have.")


@refusal(domain.OwnerStays)
class OwnerStays(Refusal):
    pass


@refusal(domain.OwnsSharedProjects)
class OwnsSharedProjects(Refusal):
    project_ids: list[strawberry.ID] = said("The projects to transfer or delete first.")
