"""Every typed refusal: what the product will not do, with the facts a client needs to act.

The docstring of each is the sentence a client reads; its fields fill the braces. Refusals carry plain values, never
entities: the rollback that follows one expires every loaded row.
"""

import inspect
import re
from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(eq=False)
class Refusal(Exception):
    """The request was refused."""

    code: ClassVar[str] = "REFUSED"

    def __init_subclass__(cls) -> None:
        """Name the code after the class: NotFound → NOT_FOUND."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).upper()

    @property
    def message(self) -> str:
        """The sentence a client reads."""
        return inspect.cleandoc(self.__doc__ or "").replace("\n", " ").format(**asdict(self))

    def __str__(self) -> str:
        """The message, so that a log line says it too."""
        return self.message


@dataclass(eq=False)
class NotFound(Refusal):
    """There is no {what} {id!r}, or you may not see it."""

    what: str
    id: str


@dataclass(eq=False)
class Forbidden(Refusal):
    """You may not do this: it needs {needs}."""

    needs: str


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input, and where."""

    path: str
    message: str


@dataclass(eq=False)
class InvalidInput(Refusal):
    """The input is not valid: {path}: {problem}."""

    path: str
    problem: str


@dataclass(eq=False)
class StaleVersion(Refusal):
    """It has changed since you read it: you expected version {expected}, it is at {actual}. Read it again."""

    expected: int
    actual: int


@dataclass(eq=False)
class TimelineInvalid(Refusal):
    """The timeline cannot be kept as it is: see the list of problems."""

    problems: list[Problem]


@dataclass(eq=False)
class TimelineEmpty(Refusal):
    """The project has no timeline to render yet: set one first."""


@dataclass(eq=False)
class RenderAlreadyActive(Refusal):
    """The project is being rendered already, by job {job_id}. Follow or cancel that one."""

    job_id: str


@dataclass(eq=False)
class PreviewFailed(Refusal):
    """The preview could not be made, by job {job_id}: {problem} Ask again to have it tried again."""

    job_id: str
    problem: str


@dataclass(eq=False)
class TooManyPreviews(Refusal):
    """{limit} previews of yours are waiting already. Ask again when some of them are there."""

    limit: int


@dataclass(eq=False)
class IdempotencyKeyReused(Refusal):
    """The idempotency key was used for another request, which made job {job_id}. Use a fresh key."""

    job_id: str


@dataclass(eq=False)
class TooManySchedules(Refusal):
    """A project may have {limit} schedules at most. Delete one that is no longer needed."""

    limit: int


@dataclass(eq=False)
class UploadTooLarge(Refusal):
    """A file of {size} bytes is more than the {limit} bytes allowed."""

    size: int
    limit: int


@dataclass(eq=False)
class UploadIncomplete(Refusal):
    """Parts are missing or have the wrong size: {missing_parts}. Send them again, then complete the upload."""

    missing_parts: list[int]


@dataclass(eq=False)
class ChecksumMismatch(Refusal):
    """The bytes that arrived have SHA-256 {actual}, you announced {expected}. Ask for the parts, and send all again."""

    expected: str
    actual: str


@dataclass(eq=False)
class UploadClosed(Refusal):
    """The upload takes no more parts: it is {state}."""

    state: str


@dataclass(eq=False)
class StorageFull(Refusal):
    """The storage has no room for the file. Try again later, or tell the administrator."""


@dataclass(eq=False)
class StorageUnavailable(Refusal):
    """The storage does not answer. Nothing was changed: try again in a moment."""


@dataclass(eq=False)
class AssetInUse(Refusal):
    """The asset is needed by job {job_id}, which has not ended. Wait for it or cancel it."""

    job_id: str


@dataclass(eq=False)
class JobAlreadyEnded(Refusal):
    """The job has already ended: it is {state}."""

    state: str


@dataclass(eq=False)
class JobNotRetryable(Refusal):
    """Only a failed or cancelled job can be retried: this one is {state}."""

    state: str


@dataclass(eq=False)
class AlreadyMember(Refusal):
    """The user is already a member of the project, as {role}. Remove them first to change the role."""

    role: str


@dataclass(eq=False)
class OwnerStays(Refusal):
    """A project always has an owner: transfer it before the owner leaves."""


@dataclass(eq=False)
class OwnsSharedProjects(Refusal):
    """The user owns projects with other members. Transfer or delete these first: {project_ids}."""

    project_ids: list[str]
